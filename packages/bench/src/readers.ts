/**
 * What slow readers of a file larger than memory cost somebody who asks for a small one: wrk with one
 * connection, 22 KB, its 99th percentile alone, beside readers of the same file from another server,
 * and beside readers of this one. On two cores readers cost time that is nobody's fault, since they
 * and wrk have one core between them, their server and ours the other; what ours adds is the last
 * ratio.
 */
import { once } from 'node:events'
import { closeSync, ftruncateSync, mkdtempSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { figure, loadOf, ratioFigure, withObjects } from './compare.ts'
import { few, type Options } from './options.ts'
import { ended, startInside } from './process.ts'
import { markdownTable, report } from './report.ts'
import { nginxInside, type Side, startNginx, startOnKernel, startSandstorm } from './servers.ts'
import { CLIENT_CORE, wrk } from './wrk.ts'

const READERS = 64
const READER_BYTES_PER_SECOND = 1 << 20
const LARGE = 'large.bin'
const LARGE_BYTES = 2 ** 32
const PROGRAM = fileURLToPath(new URL('./readersRun.js', import.meta.url))
const SMALL = { ...loadOf({ object: '22 KB', close: false }), connections: 1 }

/** Runs of one server, µs at the 99th percentile. */
interface Row {
  readonly name: string
  readonly alone: number[]
  readonly besideOthers: number[]
  readonly besideOwn: number[]
}

export const benchReaders = (options: Options): Promise<void> =>
  withObjects(async (dir, workDir) => {
    writeSparse(join(dir, LARGE))
    const servers: (() => Promise<Side>)[] = [
      () => startSandstorm(dir, ['--memory', '256MiB']),
      () => startOnKernel(dir),
      () => startNginx(dir, workDir),
    ]
    const rows: Row[] = []
    for (const start of few(servers, options)) {
      const side = await start()
      rows.push(await measureBeside(side, dir, workDir, options))
      await side.stop()
    }
    report('readers', table(rows), { readers: READERS, READER_BYTES_PER_SECOND, rows }, options)
  })

/** Its size, and nothing in it. */
function writeSparse(file: string): void {
  const fd = openSync(file, 'w')
  ftruncateSync(fd, LARGE_BYTES)
  closeSync(fd)
}

async function measureBeside(
  side: Side,
  dir: string,
  workDir: string,
  { pairs, seconds }: Options,
): Promise<Row> {
  const { clientNamespace: namespace, url } = side
  const otherDir = mkdtempSync(join(workDir, 'other-'))
  const other = await nginxInside(namespace, namespace, '127.0.0.1', dir, otherDir)
  const row: Row = { name: side.name, alone: [], besideOthers: [], besideOwn: [] }
  const p99Us = async (): Promise<number> => {
    const run = await wrk(side, SMALL, seconds)
    if (run.refused !== '') throw new Error(`${side.name}: ${run.refused}`)
    return run.p99Us
  }
  for (let pair = 0; pair < pairs; pair++) {
    row.alone.push(await p99Us())
    row.besideOthers.push(await beside(namespace, other.url, p99Us))
    row.besideOwn.push(await beside(namespace, url, p99Us))
  }
  await other.stop()
  return row
}

/** While READERS read the large file of a server. Throws if they did not until the end. */
async function beside<T>(namespace: string, url: string, work: () => Promise<T>): Promise<T> {
  const job = { url: `${url}/${LARGE}`, readers: READERS, bytesPerSecond: READER_BYTES_PER_SECOND }
  const argv = ['taskset', '-c', CLIENT_CORE, process.execPath, PROGRAM, JSON.stringify(job)]
  const child = startInside(namespace, argv)
  child.stderr?.pipe(process.stderr)
  const done = ended(child)
  const failed = done.then(code => {
    throw new Error(`the readers ended with code ${code}`)
  })
  failed.catch(() => {})
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), failed])
  const result = await Promise.race([work(), failed])
  child.kill('SIGKILL')
  await done
  return result
}

function table(rows: readonly Row[]): string {
  const head = [
    'p99 of 22 KB, µs',
    'alone',
    "beside another's readers",
    'beside its own',
    'own / alone',
    "own / another's",
  ]
  return markdownTable(
    head,
    rows.map(({ name, alone, besideOthers, besideOwn }) => [
      name,
      ...[alone, besideOthers, besideOwn].map(runs => figure(runs, 0)),
      ratioFigure(besideOwn, alone),
      ratioFigure(besideOwn, besideOthers),
    ]),
  )
}
