/**
 * Thousands of targets that try to leave the served folder (kit/hostilePaths.ts), on both mounts:
 * no answer contains a byte of what lies outside or is hidden, each is one of a few refusals, and
 * the server lives.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeSite, SECRET, TEXT } from './http/site.ts'
import { hostilePaths } from './kit/hostilePaths.ts'
import { MOUNTS, Mounted } from './kit/mounts.ts'
import { pipeline } from './kit/pipeline.ts'
import { needs } from './kit/privileges.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'

const REFUSALS = [308, 400, 404, 414]
/** All but a query of the root's (RFC 9112 §3.2.2, RFC 9110 §4.2.3). */
const HARMLESS = ['http://a?/../secret.txt']
/** The line of root, as every Linux has it. */
const PASSWD = readFileSync('/etc/passwd', 'latin1').split('\n')[0]

for (const mount of MOUNTS) {
  describe(`paths ${mount.name}`, { ...needs(...mount.needs), timeout: 300_000 }, () => {
    let work: TemporaryFolder
    let mounted: Mounted

    before(async () => {
      work = temporaryFolder('paths')
      const root = makeSite(work.path)
      // A neighbour whose name begins with the root's.
      mkdirSync(join(work.path, 'site-private'))
      writeFileSync(join(work.path, 'site-private', 'secret.txt'), SECRET)
      symlinkSync('..', join(root, 'out'))
      symlinkSync('sub', join(root, 'inside'))
      symlinkSync('loop', join(root, 'loop'))
      mkdirSync(join(root, 'ring'))
      symlinkSync('../ring', join(root, 'ring', 'again'))
      mounted = await Mounted.serve(mount, root)
    })
    after(async () => {
      await mounted?.remove()
      work?.remove()
    })

    const get = (...targets: string[]): ReturnType<typeof pipeline> =>
      pipeline(mounted.url, targets, [SECRET, PASSWD], mounted.namespace)

    it('would find a secret if there were one', async () => {
      const { statuses, leaks } = await pipeline(
        mounted.url,
        ['/a.txt', '/sub/'],
        [TEXT.slice(3, 9)],
        mounted.namespace,
      )
      assert.deepEqual({ statuses, leaks }, { statuses: [200, 200], leaks: ['/a.txt'] })
    })

    it('answers no hostile target with what it asks for', async context => {
      const targets = hostilePaths()
      assert.ok(targets.length >= 5000, `${targets.length} targets`)
      const { statuses, leaks, connections } = await get(...targets)
      assert.deepEqual(leaks, [])
      assert.deepEqual(
        targets.filter((_, i) => !REFUSALS.includes(statuses[i])),
        HARMLESS,
      )
      context.diagnostic(`${targets.length} targets on ${connections} connections`)
    })

    it('follows links that stay, and no others', async () => {
      const { statuses, leaks } = await get(
        '/inside.txt',
        '/inside/',
        '/link.txt',
        '/out/',
        '/out/secret.txt',
        '/loop',
        '/ring/again/again/',
      )
      assert.deepEqual(statuses, [200, 200, 404, 404, 404, 404, 404])
      assert.deepEqual(leaks, [])
    })

    it('leaves nothing behind', async () => {
      await mounted.stopEmpty()
    })
  })
}
