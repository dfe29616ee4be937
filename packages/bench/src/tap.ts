/**
 * Ours over TAP against nginx over a veth pair: requests per second of one server core, for the
 * paper's 22 KB objects and for 1 KB ones, with connections kept alive and with one per request
 * (paper §3; how both are set up: servers.ts).
 *
 * The sides take turns, A B A B, because a virtual machine's speed drifts; what counts is the ratio,
 * the median of those of neighbouring runs. A row in which any request failed has no figure.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Options } from './options.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'
import { type Side, startNginx, startSandstorm } from './servers.ts'
import { CONNECTIONS, wrk } from './wrk.ts'

const SIZES = { '22 KB': 22 * 1024, '1 KB': 1024 } as const
const WARM_UP_SECONDS = 1

interface Row {
  readonly object: keyof typeof SIZES
  readonly close: boolean
}

const ROWS: readonly Row[] = [
  { object: '22 KB', close: false },
  { object: '22 KB', close: true },
  { object: '1 KB', close: false },
  { object: '1 KB', close: true },
]

interface Result extends Row {
  /** Requests per second of each run. */
  readonly sandstorm: readonly number[]
  readonly nginx: readonly number[]
  /** Why there is no figure; '' if there is one. */
  readonly refused: string
}

/** Runs the comparison. Throws when a row was refused, after the others are reported. */
export async function benchTap(options: Options): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'sand-bench-'))
  const dir = writeObjects(workDir)
  const sides: Side[] = []
  try {
    sides.push(await startSandstorm(dir))
    sides.push(await startNginx(dir, workDir))
    const results: Result[] = []
    for (const row of ROWS) results.push(await measure(row, sides, options))
    for (const side of sides.splice(0)) await side.stop()
    report('tap', table(results), { connections: CONNECTIONS, rows: results }, options)
    const refused = results.filter(result => result.refused !== '')
    if (refused.length > 0) throw new Error(`${refused.length} rows have no figure`)
  } finally {
    rmSync(workDir, { recursive: true, force: true })
  }
}

/** Bytes that do not compress, the same every time. */
function writeObjects(workDir: string): string {
  const dir = mkdtempSync(join(workDir, 'www-'))
  for (const bytes of [...Object.values(SIZES), 0]) {
    const body = Uint8Array.from(
      { length: bytes },
      (_, i) => (Math.imul(i + 1, 2654435761) >> 13) & 255,
    )
    writeFileSync(join(dir, bytes === 0 ? 'index.html' : `${bytes}.bin`), body)
  }
  return dir
}

async function measure(row: Row, sides: readonly Side[], options: Options): Promise<Result> {
  const rates: Record<string, number[]> = { sandstorm: [], nginx: [] }
  const path = `/${SIZES[row.object]}.bin`
  let refused = ''
  for (let pair = -1; pair < options.pairs && refused === ''; pair++) {
    for (const { name, clientNamespace, url } of sides) {
      const seconds = pair < 0 ? WARM_UP_SECONDS : options.seconds
      const run = await wrk(clientNamespace, url + path, seconds, row.close)
      if (run.refused !== '') refused = `${name}: ${run.refused}`
      else if (pair >= 0) rates[name].push(run.requestsPerSecond)
    }
  }
  return { ...row, sandstorm: rates['sandstorm'], nginx: rates['nginx'], refused }
}

function table(results: readonly Result[]): string {
  const head = ['object', 'connection', 'sandstorm, requests/s', 'nginx, requests/s', 'ratio']
  return markdownTable(
    head,
    results.map(({ object, close, sandstorm, nginx, refused }) => [
      object,
      close ? 'one per request' : 'keep-alive',
      ...(refused === '' ? figures(sandstorm, nginx) : [`refused: ${refused}`, '', '']),
    ]),
  )
}

function figures(sandstorm: readonly number[], nginx: readonly number[]): string[] {
  const ratios = sandstorm.map((rate, i) => rate / nginx[i])
  const figure = (values: readonly number[], digits: number): string =>
    `${median(values).toFixed(digits)} (spread ${Math.round(spreadPercent(values))} %)`
  return [figure(sandstorm, 0), figure(nginx, 0), figure(ratios, 2)]
}
