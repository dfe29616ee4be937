/**
 * Clients that are slow on purpose (slowhttptest, both mounts): heads that never end, bodies that
 * trickle, floods of ranges, answers read by the byte. Meanwhile everybody else is served every
 * file, and when they are gone the server holds nothing of theirs.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { collect, start } from '../kit/command.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { MOUNTS, Mounted } from '../kit/mounts.ts'
import { needs } from '../kit/privileges.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const CONNECTIONS = 200
const EVERY_SECOND = ['-i', '1']
/** It gives up by itself then. */
const SECONDS = 30
const LIMIT_MS = 60_000

interface Attack {
  readonly name: string
  readonly flags: readonly string[]
  /** It ends since the server has ended its connections, not by itself. */
  readonly isEnded: boolean
  /** It has all its connections at the same time for a while. */
  readonly isHeld: boolean
}

const ATTACKS: readonly Attack[] = [
  // Half a head is answered after ten seconds.
  {
    name: 'heads that never end',
    flags: ['-H', ...EVERY_SECOND, '-l', `${SECONDS}`],
    isEnded: true,
    isHeld: true,
  },
  {
    name: 'bodies that trickle',
    flags: ['-B', '-s', '60000', ...EVERY_SECOND, '-l', `${SECONDS}`],
    isEnded: true,
    isHeld: false,
  },
  {
    name: 'floods of ranges',
    flags: ['-R', '-t', 'GET', '-a', '1', '-b', '1000', '-l', `${SECONDS}`],
    isEnded: true,
    isHeld: false,
  },
  {
    name: 'answers read by the byte',
    flags: ['-X', '-w', '512', '-y', '1024', '-n', '1', '-z', '32', '-k', '3', '-l', '5'],
    isEnded: false,
    isHeld: true,
  },
]

for (const mount of MOUNTS) {
  const needed = needs(...mount.needs, 'slowhttptest')

  describe(`slow clients ${mount.name}`, { ...needed, timeout: 300_000 }, () => {
    let tree: Tree
    let mounted: Mounted

    before(async () => {
      tree = makeTree(20)
      mounted = await Mounted.serve(mount, tree.dir)
    })
    after(async () => {
      await mounted?.remove()
      tree?.remove()
    })

    for (const { name, flags, isEnded, isHeld } of ATTACKS) {
      it(`leave others all answers: ${name}`, async context => {
        const { namespace, url } = mounted
        const { path } = tree.files.find(file => file.bytes === 1024 * 1024)!
        const crowd = ['-c', `${CONNECTIONS}`, '-r', `${CONNECTIONS}`, '-u', url + path]
        const attack = start(['slowhttptest', ...flags, ...crowd], { namespace })
        const limit = setTimeout(() => attack.kill('SIGKILL'), LIMIT_MS)
        const said = collect(attack.stdout)
        let code: number | undefined
        const ended = new Promise<void>(resolve => {
          attack.once('close', result => {
            code = result ?? -1
            resolve()
          })
        })
        let rounds = 0
        let most = 0
        for (; code === undefined; rounds++) {
          const { wrong } = await fetchTree(url, tree.files, { namespace, maxSockets: 4 })
          assert.deepEqual(wrong, [])
          most = Math.max(most, await mounted.countConnections())
        }
        await ended
        clearTimeout(limit)
        assert.equal(code, 0, said())
        const why = isEnded ? 'No open connections left' : 'Hit test time limit'
        assert.ok(said().includes(why), said())
        if (isHeld) assert.ok(most >= CONNECTIONS / 2, `${most} slow connections`)
        context.diagnostic(`${rounds} times ${tree.files.length} files beside ${most} connections`)
      })
    }

    it('leave nothing behind', async () => {
      await mounted.stopEmpty()
    })
  })
}
