/**
 * What watching 10,000 folders costs, in time and memory:
 * `node --expose-gc packages/sandstorm/dist/test/measureWatch.js`. The numbers are in
 * content/watch.ts.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { FolderWatcher } from '../src/content/watch.ts'

const COUNT = 10_000
const root = mkdtempSync(join(tmpdir(), 'sandstorm-watch-'))
const dirs = Array.from({ length: COUNT }, (_, i) => join(root, `${i % 100}`, `${i}`))
for (const dir of dirs) mkdirSync(dir, { recursive: true })

let onChange = (): void => {}
const changed = (): Promise<void> =>
  new Promise(resolve => {
    onChange = resolve
  })
const watcher = new FolderWatcher({ onChange: async () => onChange(), onWarning: console.error })
const held = setInterval(() => {}, 1000) // the watcher keeps no process alive

function timed(what: string, run: () => void): void {
  const beginMs = performance.now()
  run()
  console.log(`${what}: ${(performance.now() - beginMs).toFixed(1)} ms`)
}

globalThis.gc?.()
const before = process.memoryUsage()
const first = changed()
timed(`follow ${COUNT} folders`, () => watcher.follow(dirs))
await first
await setImmediate() // so that the call is over, too
globalThis.gc?.()
const { rss, heapUsed } = process.memoryUsage()
const kib = (bytes: number): number => Math.round(bytes / 1024)
console.log(`memory: ${kib(rss - before.rss)} KiB, heap ${kib(heapUsed - before.heapUsed)} KiB`)
for (let i = 0; i < 5; i++) timed('follow the same', () => watcher.follow(dirs))
const told = changed()
const beginMs = performance.now()
writeFileSync(join(dirs[0], 'file'), '')
await told
console.log(`told of a file after ${(performance.now() - beginMs).toFixed(1)} ms`)
timed('close', () => void watcher.close())
clearInterval(held)
rmSync(root, { recursive: true })
