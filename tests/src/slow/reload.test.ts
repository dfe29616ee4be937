/** As ../reload.test.ts, for longer; and one file of many. */
import { describe, it } from 'node:test'
import { LiveFolder } from '../kit/liveFolder.ts'
import { MOUNTS } from '../kit/mounts.ts'
import { needs } from '../kit/privileges.ts'
import { describeReload } from '../kit/reloadSuite.ts'
import { versionBody } from '../kit/versions.ts'

const FILES = 20_000

describeReload(10)

for (const mount of MOUNTS) {
  describe(`one of many files, ${mount.name}`, {
    ...needs(...mount.needs, 'curl'),
    timeout: 300_000,
  }, () => {
    it('is served soon after it changes', async t => {
      const files = Object.fromEntries(
        Array.from({ length: FILES }, (_, i) => [`${i % 200}/${i}.txt`, versionBody(1, 1)]),
      )
      const live = await LiveFolder.serve(mount, { ...files, 'a.txt': versionBody(1) })
      const readers = live.readers({ paths: ['/a.txt'], connections: 16 })
      try {
        for (let n = 2; n <= 6; n++) {
          await live.settles()
          live.replace('a.txt', versionBody(n))
          const beginMs = performance.now()
          await readers.haveSeen(n)
          const ms = Math.round(performance.now() - beginMs)
          t.diagnostic(`one of ${FILES} files is served anew after ${ms} ms`)
        }
      } finally {
        await readers.stop()
        await live.remove()
      }
    })
  })
}
