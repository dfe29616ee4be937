/**
 * GETs targets as they are written, which no ordinary client would send, in a process of its own
 * (pipelineChild.ts): many at a time on one connection, and on a new one when the server closed it.
 */
import { fileURLToPath } from 'node:url'
import { run } from './command.ts'
import type { Namespace } from './namespace.ts'

/** What the child is told. Strings are bytes in Latin-1. */
export interface PipelineJob {
  readonly host: string
  readonly port: number
  readonly targets: readonly string[]
  /** What no answer may contain. */
  readonly secrets: readonly string[]
}

export interface Pipelined {
  /** By target; 0: closed without an answer. */
  readonly statuses: readonly number[]
  /** The targets whose answers contain a secret. */
  readonly leaks: readonly string[]
  readonly connections: number
}

const CHILD = fileURLToPath(new URL('pipelineChild.js', import.meta.url))

export async function pipeline(
  url: string,
  targets: readonly string[],
  secrets: readonly string[],
  namespace: Namespace,
): Promise<Pipelined> {
  const { hostname, port } = new URL(url)
  const job: PipelineJob = { host: hostname, port: Number(port || 80), targets, secrets }
  const options = { namespace, input: JSON.stringify(job), limitMs: 60_000 }
  const { code, stdout, stderr } = await run([process.execPath, CHILD], options)
  if (code !== 0) throw new Error(`the pipelining client ended with code ${code}: ${stderr}`)
  return JSON.parse(stdout) as Pipelined
}
