/** What clients may expect of files that change while they are served (reload.test.ts). */
import assert from 'node:assert/strict'
import { closeSync, openSync, writeSync } from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LiveFolder } from './liveFolder.ts'
import { MOUNTS } from './mounts.ts'
import { needs } from './privileges.ts'
import type { ReadersReport } from './readers.ts'
import { versionBody } from './versions.ts'

const CONNECTIONS = 64
const REPLACE_MS = 10
/**
 * Memory that the process may take while it serves, whatever its garbage collector leaves for
 * later.
 */
const GROWTH_MAX_BYTES = 128 << 20

const assertWhole = ({ wrong, lost, statuses, answers }: ReadersReport): void => {
  assert.deepEqual(wrong, [])
  assert.equal(lost, 0, 'connections that the server ended')
  assert.deepEqual(statuses, { 200: answers })
}

/** Declares the tests, in which files change for so many seconds. */
export function describeReload(seconds: number): void {
  for (const mount of MOUNTS) {
    describe(`files that change, ${mount.name}`, {
      ...needs(...mount.needs, 'curl'),
      timeout: 300_000,
    }, () => {
      let live: LiveFolder
      afterEach(async () => {
        await live?.remove()
      })

      it('are served in whole versions while they are replaced', async t => {
        live = await LiveFolder.serve(mount, { 'hot.txt': versionBody(1) })
        const readers = live.readers({ paths: ['/hot.txt'], connections: CONNECTIONS })
        await readers.haveSeen(1)
        const before = await live.metrics()
        let n = 1
        for (const endMs = Date.now() + seconds * 1000; Date.now() < endMs; ) {
          live.replace('hot.txt', versionBody(++n))
          await sleep(REPLACE_MS)
        }
        live.replace('hot.txt', versionBody(++n))
        const lastMs = performance.now()
        await readers.haveSeen(n)
        t.diagnostic(
          `the last version is served to all after ${Math.round(performance.now() - lastMs)} ms`,
        )
        const report = await readers.stop()
        t.diagnostic(`${report.answers} answers, ${report.versions} versions of ${n}`)
        assertWhole(report)
        const freed = await live.allFreed()
        const grown = versionBody(n).length - versionBody(1).length
        assert.ok(Math.abs(before.freeBytes - freed.freeBytes - grown) < 100, 'memory of content')
        assert.ok(freed.residentBytes - before.residentBytes < GROWTH_MAX_BYTES, 'memory')
      })

      it('are served as they were at a moment while they are written over', async t => {
        const LINES = 512
        live = await LiveFolder.serve(mount, { 'hot.txt': versionBody(1, LINES) })
        const of = { paths: ['/hot.txt'], connections: CONNECTIONS, isWrittenOver: true }
        const readers = live.readers(of)
        const fd = openSync(live.path('hot.txt'), 'r+')
        let n = 1
        for (const endMs = Date.now() + seconds * 1000; Date.now() < endMs; ) {
          const body = versionBody(++n, LINES)
          for (let off = 0; off < body.length; off += 4096) {
            writeSync(fd, body, off, 4096, off)
            await new Promise(setImmediate)
          }
        }
        closeSync(fd)
        await readers.haveSeen(n)
        const report = await readers.stop()
        t.diagnostic(`${report.answers} answers, ${report.versions} versions of ${n}`)
        assertWhole(report)
      })
    })
  }
}
