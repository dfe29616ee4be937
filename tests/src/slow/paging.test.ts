/** As ../paging.test.ts, with larger files; and what slow readers of one cost others. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MOUNTS } from '../kit/mounts.ts'
import { PagedFolder } from '../kit/pagedFolder.ts'
import { describeLargeFiles } from '../kit/pagingSuite.ts'
import { needs } from '../kit/privileges.ts'

const READERS = 64
const READER_BYTES_PER_SECOND = 1 << 20
/** Here so few that it is seen to work; `npm run matrix` has enough of them to tell something. */
const WINDOWS = process.env['SANDSTORM_MATRIX'] === 'full' ? 5 : 1

describeLargeFiles({ wholeBytes: 2 ** 32, memories: ['1GiB'], earlyBytes: 600e6 })

for (const mount of MOUNTS) {
  describe(`slow readers of a large file, ${mount.name}`, {
    ...needs(...mount.needs, 'curl', 'wrk'),
    timeout: 300_000,
  }, () => {
    it('leave others what they ask for', async t => {
      const paged = await PagedFolder.serve(mount, {
        'a.bin': 2 ** 32,
        'small.jpg': Buffer.alloc(22 << 10, 'x'),
      })
      try {
        const without: number[] = []
        const beside: number[] = []
        for (let i = 0; i < WINDOWS; i++) {
          without.push(await p99Ms(paged))
          const readers = await paged.slowClients('a.bin', READERS, READER_BYTES_PER_SECOND)
          beside.push(await p99Ms(paged))
          await readers.stop()
        }
        // Not asserted: a time depends on the machine. Priority (nice) of the packet thread or of
        // wrk changes nothing.
        const [alone, shared] = [median(without), median(beside)]
        const times = (shared / alone).toFixed(1)
        const inPairs = median(beside.map((ms, i) => ms / without[i])).toFixed(1)
        t.diagnostic(`p99 of 22 KB: ${alone} ms alone, ${shared} ms beside them`)
        t.diagnostic(`${times} times; the median of ${WINDOWS} pairs is ${inPairs} times`)
        await paged.live.mounted.stopEmpty()
      } finally {
        await paged.remove()
      }
    })
  })
}

/** Of one connection that asks for the small file for two seconds; every answer must be right. */
async function p99Ms({ live }: PagedFolder): Promise<number> {
  const { mounted } = live
  const argv = ['wrk', '-t1', '-c1', '-d2s', '--latency', `${mounted.url}/small.jpg`]
  const report = await mounted.succeed(argv)
  assert.doesNotMatch(report, /Socket errors|Non-2xx/)
  const [, value, unit] = /^\s*99%\s+([\d.]+)(us|ms|s)$/m.exec(report) ?? []
  assert.ok(value !== undefined, report)
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1)
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]
