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
import { figure, loadOf, ratioFigure, WARM_UP_SECONDS, withObjects } from './compare.ts'
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

/** Beside readers: what the small object took, and what all of them got. */
interface Run {
  readonly p99Us: number
  readonly bytesPerSecond: number
}

/** Runs of one server. */
interface Row {
  readonly name: string
  /** µs at the 99th percentile. */
  readonly alone: number[]
  readonly besideOthers: Run[]
  readonly besideOwn: Run[]
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
    const asked = { readers: READERS, bytesPerSecond: READERS * READER_BYTES_PER_SECOND }
    report('readers', table(rows), { ...asked, rows }, options)
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
  { pairs, seconds, quick }: Options,
): Promise<Row> {
  const { clientNamespace: namespace, url } = side
  const otherDir = mkdtempSync(join(workDir, 'other-'))
  const other = await nginxInside(namespace, namespace, '127.0.0.1', dir, otherDir)
  const row: Row = { name: side.name, alone: [], besideOthers: [], besideOwn: [] }
  const p99Us = async (forSeconds = seconds): Promise<number> => {
    const run = await wrk(side, SMALL, forSeconds)
    if (run.refused !== '') throw new Error(`${side.name}: ${run.refused}`)
    return run.p99Us
  }
  if (!quick) await p99Us(WARM_UP_SECONDS)
  for (let pair = 0; pair < pairs; pair++) {
    row.alone.push(await p99Us())
    row.besideOthers.push(await beside(namespace, other.url, p99Us))
    row.besideOwn.push(await beside(namespace, url, p99Us))
  }
  await other.stop()
  return row
}

/** While READERS read the large file of a server. Throws if they did not until the end. */
async function beside(namespace: string, url: string, work: () => Promise<number>): Promise<Run> {
  const job = { url: `${url}/${LARGE}`, readers: READERS, bytesPerSecond: READER_BYTES_PER_SECOND }
  const argv = ['taskset', '-c', CLIENT_CORE, process.execPath, PROGRAM, JSON.stringify(job)]
  const child = startInside(namespace, argv)
  child.stderr?.pipe(process.stderr)
  const done = ended(child)
  const failed = done.then(code => {
    throw new Error(`the readers ended with code ${code}`)
  })
  failed.catch(() => {})
  let said = ''
  child.stdout?.on('data', chunk => {
    said += chunk
  })
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), failed])
  const p99Us = await Promise.race([work(), failed])
  child.kill('SIGTERM')
  await done
  return { p99Us, bytesPerSecond: Number(said.split('\n')[1]) }
}

function table(rows: readonly Row[]): string {
  const head = [
    'p99 of 22 KB, µs',
    'alone',
    "beside another's readers",
    'beside its own',
    'own / alone',
    "own / another's",
    "MB/s that readers got: another's",
    'own',
  ]
  return markdownTable(
    head,
    rows.map(({ name, alone, besideOthers, besideOwn }) => {
      const [others, own] = [besideOthers, besideOwn].map(runs => runs.map(({ p99Us }) => p99Us))
      const rates = [besideOthers, besideOwn].map(runs =>
        runs.map(({ bytesPerSecond }) => bytesPerSecond / 1e6),
      )
      return [
        name,
        ...[alone, others, own].map(runs => figure(runs, 0)),
        ratioFigure(own, alone),
        ratioFigure(own, others),
        ...rates.map(runs => figure(runs, 0)),
      ]
    }),
  )
}
