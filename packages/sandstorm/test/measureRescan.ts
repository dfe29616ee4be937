/**
 * What a look at 20,000 files that did not change costs (src/content/place.ts):
 * `node packages/sandstorm/dist/test/measureRescan.js`
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LiveContent } from '../src/content/live.ts'
import { plainSite } from '../src/site/site.ts'

const [FILES, FOLDERS, LOOKS] = [20_000, 200, 7]

const root = mkdtempSync(join(tmpdir(), 'sand-rescan-'))
try {
  for (let i = 0; i < FOLDERS; i++) mkdirSync(join(root, `${i}`))
  for (let i = 0; i < FILES; i++) writeFileSync(join(root, `${i % FOLDERS}`, `${i}.txt`), `${i}`)
  const options = { memoryBytes: 256 << 20, onWarning: console.error }
  const live = await LiveContent.open([plainSite(root)], options)
  // Files are looked at until none is young.
  do await live.reload()
  while (live.isUnsettled)
  const takenMs: number[] = []
  for (let i = 0; i < LOOKS; i++) {
    const before = process.cpuUsage()
    await live.reload()
    const { user, system } = process.cpuUsage(before)
    takenMs.push(Math.round((user + system) / 1000))
  }
  takenMs.sort((a, b) => a - b)
  console.log(
    `${FILES} files: ${takenMs[LOOKS >> 1]} ms of CPU (${takenMs[0]} to ${takenMs.at(-1)})`,
  )
  await live.close()
} finally {
  rmSync(root, { recursive: true })
}
