/**
 * Load generators that others wrote, on both mounts: no request fails, none is answered with
 * anything but 200, and every body has its length. How fast that goes is not asked.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { MOUNTS, Mounted } from './kit/mounts.ts'
import { needs } from './kit/privileges.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree, type TreeFile } from './kit/tree.ts'

const CLIENTS = '50'
const REQUESTS = 4000
const WRK_SECONDS = '1'

/** Counts answers that are not what they should be; wrk itself only counts statuses. */
const WRK_SCRIPT = (bytes: number): string => `
local threads = {}
wrong = 0
seen = 0
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  seen = seen + 1
  if status ~= 200 or #body ~= ${bytes} then wrong = wrong + 1 end
end
function done(summary)
  local all, bad, errors = 0, 0, 0
  for _, thread in ipairs(threads) do
    all, bad = all + thread:get('seen'), bad + thread:get('wrong')
  end
  for _, count in pairs(summary.errors) do errors = errors + count end
  print('seen=' .. all .. ' wrong=' .. bad .. ' errors=' .. errors)
end
`

for (const mount of MOUNTS) {
  describe(`load ${mount.name}`, { ...needs(...mount.needs), timeout: 300_000 }, () => {
    let tree: Tree
    let mounted: Mounted
    let script: string

    before(async () => {
      tree = makeTree(20)
      script = join(temporaryFolder('wrk').path, 'count.lua')
      mounted = await Mounted.serve(mount, tree.dir)
    })
    after(async () => {
      await mounted?.remove()
      tree?.remove()
    })

    /** One that fits in a segment, and one of many. */
    const files = (): TreeFile[] =>
      [1428, 22 * 1024].map(bytes => tree.files.find(file => file.bytes === bytes)!)

    for (const isKept of [false, true]) {
      const mode = isKept ? 'keep-alive' : 'a connection per request'

      it(`answers all requests of ab, ${mode}`, needs('ab'), async () => {
        for (const { path, bytes } of files()) {
          const ab = ['ab', '-q', '-n', `${REQUESTS}`, '-c', CLIENTS, ...(isKept ? ['-k'] : [])]
          const said = await mounted.succeed([...ab, mounted.url + path])
          assert.equal(number(said, 'Document Length'), bytes, said)
          assert.equal(number(said, 'Complete requests'), REQUESTS, said)
          assert.equal(number(said, 'Failed requests'), 0, said)
          assert.equal(number(said, 'HTML transferred'), REQUESTS * bytes, said)
          assert.doesNotMatch(said, /Non-2xx/)
          if (isKept) assert.equal(number(said, 'Keep-Alive requests'), REQUESTS, said)
        }
      })

      it(`answers all requests of wrk, ${mode}`, needs('wrk'), async () => {
        const [, { path, bytes }] = files()
        writeFileSync(script, WRK_SCRIPT(bytes))
        const wrk = ['wrk', '-t', '1', '-c', CLIENTS, '-d', WRK_SECONDS, '-s', script]
        const header = ['-H', `Connection: ${isKept ? 'keep-alive' : 'close'}`]
        const said = await mounted.succeed([...wrk, ...header, mounted.url + path])
        assert.match(said, /^seen=\d{3,} wrong=0 errors=0$/m, said)
      })
    }

    for (const depth of [1, 8]) {
      it(`answers all requests of h2load, ${depth} at a time`, needs('h2load'), async () => {
        for (const { path, bytes } of files()) {
          const h2load = ['h2load', '--h1', '-n', `${REQUESTS}`, '-c', CLIENTS, '-m', `${depth}`]
          const said = await mounted.succeed([...h2load, mounted.url + path])
          const all = `${REQUESTS} total, ${REQUESTS} started, ${REQUESTS} done, ${REQUESTS} succeeded`
          assert.ok(said.includes(`requests: ${all}, 0 failed, 0 errored, 0 timeout`), said)
          assert.ok(said.includes(`status codes: ${REQUESTS} 2xx, 0 3xx, 0 4xx, 0 5xx`), said)
          assert.equal(Number(/\((\d+)\) data/.exec(said)?.[1]), REQUESTS * bytes, said)
        }
      })
    }

    it('holds nothing when they are gone', async () => {
      await mounted.stopEmpty()
    })
  })
}

/** The number behind `name:` in what ab says. */
function number(said: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(said)?.[1])
}
