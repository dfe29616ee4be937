/**
 * A tree of files as that of tree.test.ts through an interface that is there, beside the kernel,
 * with two clients that share no code and a load generator; and the same of two workers. Each kind
 * of device has a file of its own: over a bad link most of the time is waiting, and they may wait
 * at the same time.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, before, describe, it } from 'node:test'
import { collect, start } from '../kit/command.ts'
import { curlTree } from '../kit/curlTree.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

/** `npm run matrix` has as many as tree.test.ts. */
const FILES = process.env['SANDSTORM_MATRIX'] === 'full' ? 1000 : 300
const limitMs = 600_000
const FAULTS = 'drop=0.02,dup=0.01,reorder=0.02,corrupt=0.01,seed=1'

/** wrk for as long as `meanwhile` takes; what it says. */
async function underLoad(
  url: string,
  namespace: Namespace,
  meanwhile: () => Promise<void>,
): Promise<string> {
  const wrk = start(['wrk', '-t1', '-c64', '-d600', `${url}/`], { namespace })
  const said = collect(wrk.stdout)
  const ended = once(wrk, 'close')
  try {
    await meanwhile()
  } finally {
    wrk.kill('SIGINT')
    await ended
  }
  return said()
}

/** The tests of one kind of device. */
export function nicTreeSuite(kind: 'packet' | 'xdp'): void {
  describe(`${FILES} files by ${kind}`, {
    ...needs('root', 'ip', 'curl', 'wrk'),
    timeout: 1_200_000,
  }, () => {
    let near: Namespace
    let far: Namespace
    let tree: Tree
    let server: Server | undefined

    before(() => {
      tree = makeTree(FILES, 20 * 1024 * 1024)
      near = new Namespace()
      far = new Namespace()
      near.connect('web0', '10.99.0.1/24', far, 'client0', '10.99.0.2/24')
      near.connect('web1', '10.98.0.1/24', far, 'client1', '10.98.0.2/24', 2)
    })
    afterEach(() => server?.kill())
    after(() => {
      near?.remove()
      far?.remove()
      tree?.remove()
    })

    for (const [device, ...workers] of [[`${kind}:web0`], [`${kind}:web1`, '--workers', '2']]) {
      const how = [device, ...workers].join(' ')
      const bad = ['a bad link', ['--fault', FAULTS]] as const
      // Several workers over a good link are workers.test.ts's.
      const links = workers.length > 0 ? [bad] : [['a good link', []] as const, bad]
      for (const [link, flags] of links) {
        it(`arrive by ${how} over ${link}, on kept connections and on new ones`, async () => {
          const args = [tree.dir, '--device', device, ...workers, ...flags]
          server = await Server.serve(args, { namespace: near })
          for (const close of [false, true]) {
            for (const fetch of [fetchTree, curlTree]) {
              const options = { namespace: far, close, limitMs }
              const { wrong } = await fetch(server.url, tree.files, options)
              assert.deepEqual(wrong, [], fetch.name)
            }
          }
          await server.stopDrained()
        })
      }

      it(`arrive by ${how} while wrk asks for others from 64 connections`, async () => {
        const args = [tree.dir, '--device', device, ...workers]
        server = await Server.serve(args, { namespace: near })
        const { url } = server
        const stdout = await underLoad(url, far, async () => {
          const { wrong } = await curlTree(url, tree.files, { namespace: far, limitMs })
          assert.deepEqual(wrong, [])
        })
        assert.match(stdout, /Requests\/sec/)
        assert.doesNotMatch(stdout, /Socket errors/)
        await server.stopDrained()
      })
    }
  })
}
