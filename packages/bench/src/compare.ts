/**
 * Servers under the same load, in turns: requests per second of one server core (how they are set
 * up: servers.ts). What is asked is up to the case; most take the paper's 22 KB objects and 1 KB
 * ones, with connections kept alive and with one per request (paper §3).
 *
 * They take turns, A B A B, because a virtual machine's speed drifts; what counts is the ratio, the
 * median of those of neighbouring runs. A row in which any request failed has no figure.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { objectBytes } from './objects.ts'
import { few, type Options } from './options.ts'
import { median, spreadPercent } from './report.ts'
import type { Side } from './servers.ts'
import { type Load, wrk } from './wrk.ts'

export type ObjectName = '22 KB' | '1 KB'
export const SIZES: Readonly<Record<ObjectName, number>> = { '22 KB': 22 * 1024, '1 KB': 1024 }
/**
 * Code is compiled, and memory touched, in each side before it counts (docs/decisions.md, "The
 * first seconds are V8's").
 */
export const WARM_UP_SECONDS = 3

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

export interface Rates {
  /** Of each side requests per second of each run. */
  readonly rates: Readonly<Record<string, readonly number[]>>
  /** Why there is no figure; '' if there is one. */
  readonly refused: string
}

export type Result = Row & Rates

/** Runs `body` with a folder for its files, and one of objects to serve. */
export async function withObjects<T>(
  body: (dir: string, workDir: string) => Promise<T>,
): Promise<T> {
  const workDir = mkdtempSync(join(tmpdir(), 'sand-bench-'))
  try {
    return await body(writeObjects(workDir), workDir)
  } finally {
    rmSync(workDir, { recursive: true, force: true })
  }
}

function writeObjects(workDir: string): string {
  const dir = mkdtempSync(join(workDir, 'www-'))
  for (const bytes of Object.values(SIZES)) writeObject(dir, bytes)
  writeFileSync(join(dir, 'index.html'), '')
  return dir
}

/** One more object: bytes that do not compress, the same every time. Returns its path. */
export function writeObject(dir: string, bytes: number): string {
  const name = `${bytes}.bin`
  writeFileSync(join(dir, name), objectBytes(bytes))
  return `/${name}`
}

/** ROWS, in a quick run few of them, one after the other; the sides are stopped in the end. */
export async function compare(sides: readonly Side[], options: Options): Promise<Result[]> {
  const results: Result[] = []
  for (const row of few(ROWS, options)) {
    const loads = sides.map(() => loadOf(row))
    results.push({ ...row, ...(await measure(sides, loads, options)) })
  }
  for (const side of sides) await side.stop()
  return results
}

/** One row: each side in turns under its own of the loads. */
export async function measure(
  sides: readonly Side[],
  loads: readonly Load[],
  options: Options,
): Promise<Rates> {
  const rates: Record<string, number[]> = Object.fromEntries(sides.map(({ name }) => [name, []]))
  let refused = ''
  for (let pair = options.quick ? 0 : -1; pair < options.pairs && refused === ''; pair++) {
    for (const [i, side] of sides.entries()) {
      const run = await wrk(side, loads[i], pair < 0 ? WARM_UP_SECONDS : options.seconds)
      if (run.refused !== '') refused = `${side.name}: ${run.refused}`
      else if (pair >= 0) rates[side.name].push(run.requestsPerSecond)
    }
  }
  return { rates, refused }
}

export const loadOf = ({ object, close }: Row): Load => ({ path: pathOf(object), close })
export const pathOf = (object: ObjectName): string => `/${SIZES[object]}.bin`
export const connectionOf = ({ close }: Row): string => (close ? 'one per request' : 'keep-alive')

/** Throws when a row was refused; to be called once the others are reported. */
export function demandAll(results: readonly Rates[]): void {
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
