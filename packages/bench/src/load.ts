/**
 * How fast content is loaded, from files that the system has in memory: scan, read, hash and
 * tables, without codings; the first time in a process, as a server does, and when the code is
 * compiled. Beside it two that do less: the floor is the system calls, the hash and the new memory
 * of loading and nothing else, on one thread; and readFileSync looks at none of the bytes and uses
 * the same memory over and over. MB are 10^6 bytes.
 */
import { hash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { preferHugePages, Region } from '@sandstorm/libnmio'
import { inlineLess, loadContent, plainSite } from 'sandstorm'
import { figure, ratioFigure } from './compare.ts'
import { objectByte } from './objects.ts'
import type { Options } from './options.ts'
import { markdownTable, report } from './report.ts'

const FILE_BYTES = 22 * 1024
const FILES = 10_000
const QUICK_FILES = 500
const RUNS = 5
const MEMORY_BYTES = 2 ** 30

/** One run: wall-clock time, and that of all the process's threads on their CPUs. */
interface Run {
  readonly seconds: number
  readonly cpuSeconds: number
}

export async function benchLoad(options: Options): Promise<void> {
  const runs = await loadRuns(options.quick)
  report('load', table(runs), runs, options)
}

export interface LoadRuns {
  readonly files: number
  /** Of all files. */
  readonly megabytes: number
  /** The process's first; one run. */
  readonly first: readonly Run[]
  readonly loading: readonly Run[]
  readonly floor: readonly Run[]
  readonly reading: readonly Run[]
}

/** Measures all three in turns, once more at first, to warm up. */
export async function loadRuns(isQuick: boolean): Promise<LoadRuns> {
  const files = isQuick ? QUICK_FILES : FILES
  const workDir = mkdtempSync(join(tmpdir(), 'sand-load-'))
  try {
    const dir = writeFiles(workDir, files)
    const first: Run[] = []
    const loading: Run[] = []
    const floor: Run[] = []
    const reading: Run[] = []
    for (let run = -1; run < (isQuick ? 1 : RUNS); run++) {
      const load = await timed(() => loadAll(dir, files))
      const least = await timed(() => doLeast(dir, files))
      const read = await timed(() => readAll(dir, files))
      if (run < 0) {
        first.push(load)
        continue
      }
      loading.push(load)
      floor.push(least)
      reading.push(read)
    }
    return { files, megabytes: (files * FILE_BYTES) / 1e6, first, loading, floor, reading }
  } finally {
    rmSync(workDir, { recursive: true })
  }
}

/** As many files, whose bytes differ and do not compress, in folders of a hundred. */
function writeFiles(workDir: string, files: number): string {
  const dir = mkdtempSync(join(workDir, 'www-'))
  const body = Buffer.alloc(FILE_BYTES)
  for (let i = 0; i < FILE_BYTES; i++) body[i] = objectByte(i)
  for (let i = 0; i < files; i++) {
    const folder = join(dir, String(Math.floor(i / 100)))
    if (i % 100 === 0) mkdirSync(folder)
    body.writeUInt32BE(i)
    writeFileSync(join(folder, `${i}.bin`), body)
  }
  return dir
}

async function loadAll(dir: string, files: number): Promise<void> {
  const onWarning = (line: string): void => {
    throw new Error(line)
  }
  const content = await inlineLess(() =>
    loadContent([plainSite(dir)], { memoryBytes: MEMORY_BYTES, onWarning }),
  )
  demandBytes(content.contentBytes, files)
}

/** What the system has to do for each file (content/read.ts), in the same order. */
function doLeast(dir: string, files: number): void {
  const region = new Region(MEMORY_BYTES)
  preferHugePages(region)
  const { bytes } = region
  let off = 0
  for (const file of filesIn(dir)) {
    const { size } = statSync(file)
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    readSync(fd, bytes, off, size, 0)
    hash('sha256', bytes.subarray(off, off + size), 'base64url')
    fstatSync(fd)
    readlinkSync(`/proc/self/fd/${fd}`)
    closeSync(fd)
    off += size
  }
  demandBytes(off, files)
}

/** As `cat` does: a folder's names, then file after file. */
function readAll(dir: string, files: number): void {
  let bytes = 0
  for (const file of filesIn(dir)) bytes += readFileSync(file).length
  demandBytes(bytes, files)
}

function* filesIn(dir: string): Generator<string> {
  for (const folder of readdirSync(dir)) {
    for (const name of readdirSync(join(dir, folder))) yield join(dir, folder, name)
  }
}

function demandBytes(bytes: number, files: number): void {
  if (bytes < files * FILE_BYTES) throw new Error(`${bytes} bytes of ${files} files`)
}

/** What earlier runs left behind is collected first: a server that starts has none of it. */
async function timed(work: () => Promise<void> | void): Promise<Run> {
  collectGarbage()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  await work()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, cpuSeconds: (user + system) / 1e6 }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc') // contexts that are made from now on have gc()
  runInNewContext('gc()')
}

function table({ files, first, loading, floor, reading }: LoadRuns): string {
  const rates = (runs: readonly Run[]): number[] => runs.map(({ seconds }) => files / seconds)
  const row = (name: string, runs: readonly Run[]): string[] => {
    const megabytes = rates(runs).map(rate => (rate * FILE_BYTES) / 1e6)
    const cpuUs = runs.map(({ cpuSeconds }) => (cpuSeconds * 1e6) / files)
    const best = Math.max(...megabytes).toFixed(0)
    return [name, figure(megabytes, 0), best, figure(rates(runs), 0), figure(cpuUs, 0)]
  }
  const head = [
    `${files} files of 22 KB`,
    'MB/s',
    'best',
    'files/s',
    'CPU time per file, µs',
    'loadContent by it',
  ]
  const by = (other: readonly Run[]): string => ratioFigure(rates(loading), rates(other))
  return markdownTable(head, [
    [...row('loadContent, hashing included, once', first), ''],
    [...row('the same, code compiled', loading), ''],
    [...row('floor: the same calls and no more', floor), by(floor)],
    [...row('readFileSync', reading), by(reading)],
  ])
}
