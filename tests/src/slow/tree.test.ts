/**
 * The whole way, wholesale: every file of a 1,000-file tree over TAP, with two clients that share
 * no code, kept alive and one connection per request; then the same over a link that loses,
 * duplicates, reorders and corrupts frames in both directions.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { curlTree } from '../kit/curlTree.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server, type Stats } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const FAULTS = 'drop=0.02,dup=0.01,reorder=0.02,corrupt=0.01,seed=1'
/** How long a client may take over a faulty link before it counts as hanging. */
const limitMs = 600_000

describe('1,000 files', { ...needs('root', 'tun', 'ip', 'curl'), timeout: 1_200_000 }, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(1000, 20 * 1024 * 1024)
    namespace = new Namespace()
  })
  afterEach(() => server?.kill())
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  it('are what they claim to be', () => {
    assert.equal(tree.files.length, 1000)
    assert.equal(new Set(tree.files.map(file => file.path)).size, 1000)
    assert.equal(Math.max(...tree.files.map(file => file.bytes)), 20 * 1024 * 1024)
    assert.ok(tree.files.some(file => file.bytes === 0))
  })

  for (const [link, flags] of [
    ['a good link', []],
    [`a bad link (${FAULTS})`, ['--fault', FAULTS]],
    ['a bad link, from two workers', ['--workers', '2', '--fault', FAULTS]],
  ] as const) {
    for (const close of [false, true]) {
      const mode = close ? 'a connection per request' : 'keep-alive'

      it(`arrive over ${link}, ${mode}`, async () => {
        server = await Server.serve([tree.dir, '--device', 'tap', ...flags], { namespace })
        for (const fetch of [fetchTree, curlTree]) {
          const fetched = await fetch(server.url, tree.files, { namespace, close, limitMs })
          assert.deepEqual(fetched.wrong, [], fetch.name)
        }
        const stats = await server.stopDrained()
        assert.equal(countCorrupt(stats) > 0, flags.length > 0, JSON.stringify(stats.drops))
      })
    }
  }
})

/**
 * Frames that arrived with a wrong checksum: they show that the link was as bad as it was to be.
 */
function countCorrupt({ drops }: Stats): number {
  const counts = Object.entries(drops).filter(([name]) => /checksum/i.test(name))
  return counts.reduce((sum, [, count]) => sum + count, 0)
}
