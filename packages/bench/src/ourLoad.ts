/** `sandstorm load` as a generator of measurements: open loop at a rate, on the client's core. */
import { ROOT } from './options.ts'
import { runInside } from './process.ts'
import type { Side } from './servers.ts'

const CLIENT_CORE = '0'
const BIN = `${ROOT}packages/sandstorm/bin/sandstorm.js`

/** What is taken of its report (sandstorm: load/loadReport.ts). */
export interface OurLoadRun {
  readonly requestsPerSecond: number
  readonly errors: number
  readonly unsent: number
  readonly firstByteUs: { readonly mean: number; readonly p99: number }
  readonly latencyUs: { readonly mean: number; readonly p99: number }
}

/**
 * Asks a side at a rate for some seconds. Throws if an answer was wrong, or the generator could not
 * follow.
 */
export async function loadAtRate(
  { name, clientNamespace, url }: Side,
  path: string,
  flags: readonly string[],
  rate: number,
  seconds: number,
): Promise<OurLoadRun> {
  const args = ['load', `${url}${path}`, '--json', '--rate', `${rate}`, '-d', `${seconds}`]
  const argv = ['taskset', '-c', CLIENT_CORE, process.execPath, BIN, ...args, ...flags]
  const { code, stdout, stderr } = await runInside(clientNamespace, argv, (seconds + 30) * 1000)
  if (code !== 0) throw new Error(`${name}, ${rate}/s: ${stderr.trim() || stdout.trim()}`)
  const run = JSON.parse(stdout) as OurLoadRun
  const isSlow = run.requestsPerSecond < 0.95 * rate
  if (isSlow) throw new Error(`${name}: ${run.requestsPerSecond.toFixed(0)} of ${rate} a second`)
  return run
}
