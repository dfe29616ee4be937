/**
 * What was measured, as it is kept beside the drawing: every run, on what machine, at what commit,
 * and how long that took. Drawings and tables are made of it again without measuring.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machine } from '../report.ts'
import type { Effort, Figure, Panel } from './figure.ts'

export interface FigureRecord {
  readonly name: string
  readonly command: string
  readonly machine: Readonly<Record<string, string | number>>
  readonly effort: Effort
  /** That it took to measure. */
  readonly seconds: number
  readonly panels: readonly Panel[]
}

/** A figure that has been measured. */
export interface Measured {
  readonly figure: Figure
  readonly record: FigureRecord
}

/** Measures a figure. */
export async function recordOf(
  figure: Figure,
  effort: Effort,
  command: string,
): Promise<FigureRecord> {
  const startMs = performance.now()
  const panels = await figure.measure(effort)
  const seconds = Math.round((performance.now() - startMs) / 1000)
  return { name: figure.name, command, machine: machine(), effort, seconds, panels }
}

export function writeRecord(dir: string, record: FigureRecord): void {
  mkdirSync(dir, { recursive: true })
  writeFileSync(fileOf(dir, record.name), `${JSON.stringify(record, undefined, 1)}\n`)
}

/** undefined: it was never measured. */
export function readRecord(dir: string, name: string): FigureRecord | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dir, name), 'utf8')) as FigureRecord
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const fileOf = (dir: string, name: string): string => join(dir, `${name}.json`)
