/**
 * What is said on a control socket: the asker sends one line of JSON, the server answers with lines
 * of JSON and closes. `sandstorm conns --json` prints these very lines, so they are a contract too.
 */
import type { ServerStats } from '../stats.ts'
import type { Connection } from './connection.ts'

/** Counts up when a line changes its meaning. */
export const PROTOCOL = 1
/** A request is shorter than this. */
export const REQUEST_MAX_BYTES = 1024

/** `instance` asks for nothing but the first line, which begins every answer. */
export type Question = 'instance' | 'connections' | 'stats'

export interface InstanceLine {
  readonly type: 'instance'
  readonly protocol: number
  readonly pid: number
  /** As in the listening line: `tap:sand0`, `kernel`. */
  readonly device: string
  readonly url: string
}

export interface ConnectionLine extends Connection {
  readonly type: 'connection'
  readonly pid: number
}

/** Behind the last connection. */
export interface SummaryLine {
  readonly type: 'summary'
  readonly pid: number
  /** Connections by state, TIME-WAIT included. */
  readonly states: Readonly<Record<string, number>>
}

export interface StatsLine {
  readonly type: 'stats'
  readonly pid: number
  readonly stats: ServerStats
}

/** Why there is no answer, or no more of it. */
export interface ErrorLine {
  readonly type: 'error'
  readonly message: string
}

export type Line = InstanceLine | ConnectionLine | SummaryLine | StatsLine | ErrorLine

export const KERNEL_DEVICE = 'kernel'

/** The line that asks, with its end. */
export const requestText = (question: Question): string => `${JSON.stringify({ question })}\n`

/** The question in a line, or undefined. */
export function parseRequest(line: string): Question | undefined {
  try {
    const { question } = JSON.parse(line) as { question?: unknown }
    return QUESTIONS.find(known => known === question)
  } catch {
    return undefined
  }
}

const QUESTIONS: readonly Question[] = ['instance', 'connections', 'stats']
