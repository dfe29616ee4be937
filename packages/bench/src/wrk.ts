/**
 * wrk(1), the load generator: one thread, 64 connections if nothing else is said, pinned to the core that the server does
 * not use. A run with any error counts for nothing; it says so instead of giving a figure.
 */
import { runInside } from './process.ts'

export const CONNECTIONS = 64
const CLIENT_CORE = '0'

export interface WrkRun {
  readonly requestsPerSecond: number
  /** Why the run does not count; '' if it does. */
  readonly refused: string
}

/** Loads `url` for some seconds from inside a namespace, with so many connections. */
export async function wrk(
  namespace: string,
  url: string,
  seconds: number,
  close: boolean,
  connections: number = CONNECTIONS,
): Promise<WrkRun> {
  const header = `Connection: ${close ? 'close' : 'keep-alive'}`
  const pinned = ['taskset', '-c', CLIENT_CORE, 'wrk', '-t', '1', '-c', String(connections)]
  const argv = [...pinned, '-d', String(seconds), '-H', header, url]
  const { code, stdout, stderr } = await runInside(namespace, argv, (seconds + 30) * 1000)
  return code === 0 ? parseWrk(stdout) : { requestsPerSecond: 0, refused: stderr.trim() }
}

/** Reads wrk's summary. Its own error lines appear only when there were errors. */
export function parseWrk(stdout: string): WrkRun {
  const refuse = (refused: string): WrkRun => ({ requestsPerSecond: 0, refused })
  const errors = /^\s*(Socket errors: .*|Non-2xx or 3xx responses: .*)$/m.exec(stdout)
  if (errors !== null) return refuse(errors[1])
  const rate = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(stdout)?.[1])
  return rate > 0 ? { requestsPerSecond: rate, refused: '' } : refuse(`no requests: ${stdout}`)
}
