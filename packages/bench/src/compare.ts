/**
 * Servers under the same load, in turns: requests per second of one server core, for the paper's 22 KB
 * objects and for 1 KB ones, with connections kept alive and with one per request (paper §3; how they
 * are set up: servers.ts).
 *
 * They take turns, A B A B, because a virtual machine's speed drifts; what counts is the ratio, the
 * median of those of neighbouring runs. A row in which any request failed has no figure.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Options } from './options.ts'
import { median, spreadPercent } from './report.ts'
import type { Side } from './servers.ts'
import { wrk } from './wrk.ts'

type ObjectName = '22 KB' | '1 KB'
const SIZES: Readonly<Record<ObjectName, number>> = { '22 KB': 22 * 1024, '1 KB': 1024 }
const WARM_UP_SECONDS = 1

export interface Row {
  readonly object: ObjectName
  readonly close: boolean
}

export const ROWS: readonly Row[] = [
  { object: '22 KB', close: false },
  { object: '22 KB', close: true },
  { object: '1 KB', close: false },
  { object: '1 KB', close: true },
]

export interface Result extends Row {
  /** Of each side requests per second of each run. */
  readonly rates: Readonly<Record<string, readonly number[]>>
  /** Why there is no figure; '' if there is one. */
  readonly refused: string
}

/** Runs `body` with a folder for its files, and one of objects to serve. */
export async function withObjects(
  body: (dir: string, workDir: string) => Promise<void>,
): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'sand-bench-'))
  try {
    await body(writeObjects(workDir), workDir)
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

/** All rows, one after the other; the sides are stopped in the end. */
export async function compare(sides: readonly Side[], options: Options): Promise<Result[]> {
  const results: Result[] = []
  for (const row of ROWS) results.push(await measure(row, sides, options))
  for (const side of sides) await side.stop()
  return results
}

async function measure(row: Row, sides: readonly Side[], options: Options): Promise<Result> {
  const rates: Record<string, number[]> = Object.fromEntries(sides.map(({ name }) => [name, []]))
  let refused = ''
  for (let pair = options.quick ? 0 : -1; pair < options.pairs && refused === ''; pair++) {
    for (const { name, clientNamespace, url } of sides) {
      const seconds = pair < 0 ? WARM_UP_SECONDS : options.seconds
      const run = await wrk(clientNamespace, url + pathOf(row), seconds, row.close)
      if (run.refused !== '') refused = `${name}: ${run.refused}`
      else if (pair >= 0) rates[name].push(run.requestsPerSecond)
    }
  }
  return { ...row, rates, refused }
}

export const pathOf = ({ object }: Row): string => `/${SIZES[object]}.bin`
export const connectionOf = ({ close }: Row): string => (close ? 'one per request' : 'keep-alive')

/** Throws when a row was refused; to be called once the others are reported. */
export function demandAll(results: readonly Result[]): void {
  const refused = results.filter(result => result.refused !== '')
  if (refused.length > 0) throw new Error(`${refused.length} rows have no figure`)
}

/** A median with its spread. */
export const figure = (values: readonly number[], digits: number): string =>
  `${median(values).toFixed(digits)} (spread ${Math.round(spreadPercent(values))} %)`

/** The same of the ratios of neighbouring runs. */
export const ratioFigure = (a: readonly number[], b: readonly number[]): string =>
  figure(
    a.map((rate, i) => rate / b[i]),
    2,
  )
