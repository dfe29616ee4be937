/**
 * wrk(1), the load generator: one thread, 64 connections if nothing else is said, pinned to the
 * core that the server does not use. A run with any error counts for nothing; it says so instead of
 * giving a figure. An answer that is wrong but no error, a 200 for a 304, wrk does not see: ask.ts
 * does before.
 */
import { runInside } from './process.ts'
import type { Side } from './servers.ts'

export const CONNECTIONS = 64
export const CLIENT_CORE = '0'

/** What is asked of a server. */
export interface Load {
  /** Where requests go, if no script says otherwise. */
  readonly path: string
  /** A connection for each request. */
  readonly close: boolean
  /** 64 if not given. */
  readonly connections?: number
  /** More fields of every request. */
  readonly fields?: Readonly<Record<string, string>>
  /** The file of a Lua script that makes the requests. */
  readonly script?: string
}

export interface WrkRun {
  readonly requestsPerSecond: number
  /** From a request to the last byte of its answer, µs. */
  readonly meanUs: number
  readonly p99Us: number
  /** Why the run does not count; '' if it does. */
  readonly refused: string
}

/** Loads a server for some seconds. */
export async function wrk(
  { clientNamespace, url }: Pick<Side, 'clientNamespace' | 'url'>,
  load: Load,
  seconds: number,
): Promise<WrkRun> {
  const argv = ['taskset', '-c', CLIENT_CORE, ...wrkArgv(url, load, seconds)]
  const { code, stdout, stderr } = await runInside(clientNamespace, argv, (seconds + 30) * 1000)
  return code === 0 ? parseWrk(stdout) : refuse(stderr.trim())
}

/** The command line of a run. */
export function wrkArgv(url: string, load: Load, seconds: number): string[] {
  const { path, close, connections = CONNECTIONS, fields = {}, script } = load
  const argv = ['wrk', '--latency', '-t', '1', '-c', String(connections), '-d', String(seconds)]
  const all = { Connection: close ? 'close' : 'keep-alive', ...fields }
  for (const [name, value] of Object.entries(all)) argv.push('-H', `${name}: ${value}`)
  if (script !== undefined) argv.push('-s', script)
  return [...argv, url + path]
}

/** Reads wrk's summary. Its own error lines appear only when there were errors. */
export function parseWrk(stdout: string): WrkRun {
  const errors = /^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$/m.exec(stdout)
  if (errors !== null) return refuse(errors[1])
  const rate = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(stdout)?.[1])
  if (!(rate > 0)) return refuse(`no requests: ${stdout}`)
  const meanUs = microseconds(/^\s*Latency\s+([\d.]+)([a-z]+)/m.exec(stdout))
  const p99Us = microseconds(/^\s*99%\s+([\d.]+)([a-z]+)/m.exec(stdout))
  return { requestsPerSecond: rate, meanUs, p99Us, refused: '' }
}

const refuse = (refused: string): WrkRun => {
  return { requestsPerSecond: 0, meanUs: 0, p99Us: 0, refused }
}

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1000, s: 1e6, m: 60e6 }

/** NaN if wrk did not say. */
const microseconds = (match: RegExpExecArray | null): number =>
  match === null ? Number.NaN : Number(match[1]) * UNITS[match[2]]
