/**
 * As ../paging.test.ts, with larger files; and slow readers of one beside others. What they cost those
 * `npm run bench -- readers` measures.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MOUNTS } from '../kit/mounts.ts'
import { PagedFolder } from '../kit/pagedFolder.ts'
import { describeLargeFiles } from '../kit/pagingSuite.ts'
import { needs } from '../kit/privileges.ts'

const READERS = 64
const READER_BYTES_PER_SECOND = 1 << 20

describeLargeFiles({ wholeBytes: 2 ** 32, memories: ['1GiB'], earlyBytes: 600e6 })

for (const mount of MOUNTS) {
  describe(`slow readers of a large file, ${mount.name}`, {
    ...needs(...mount.needs, 'curl', 'wrk'),
    timeout: 300_000,
  }, () => {
    it('leave others what they ask for', async () => {
      const paged = await PagedFolder.serve(mount, {
        'a.bin': 2 ** 32,
        'small.jpg': Buffer.alloc(22 << 10, 'x'),
      })
      try {
        const readers = await paged.slowClients('a.bin', READERS, READER_BYTES_PER_SECOND)
        await askFor(paged)
        await readers.stop()
        await paged.live.mounted.stopEmpty()
      } finally {
        await paged.remove()
      }
    })
  })
}

/** One connection asks for the small file for two seconds; every answer must be right. */
async function askFor({ live }: PagedFolder): Promise<void> {
  const { mounted } = live
  const report = await mounted.succeed(['wrk', '-t1', '-c1', '-d2s', `${mounted.url}/small.jpg`])
  assert.doesNotMatch(report, /Socket errors|Non-2xx/)
  assert.match(report, /Requests\/sec:\s+[1-9]/)
}
