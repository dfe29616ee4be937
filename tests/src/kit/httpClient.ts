/**
 * Node's own HTTP client, run in a process of its own, since a process cannot enter a network
 * namespace later. Requests go in, what came back goes out: status, headers, length and SHA-256 of
 * the body. Judging it is the caller's affair.
 */
import { fileURLToPath } from 'node:url'
import { run } from './command.ts'
import type { Namespace } from './namespace.ts'

export interface Request {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  /** 0 when the request failed; then `error` says why. */
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  readonly sha256: string
  readonly error: string
}

export interface Answers {
  /** In the order of the requests. */
  readonly answers: readonly Answer[]
  /** How many TCP connections it took. */
  readonly connections: number
}

export interface ClientOptions {
  readonly namespace?: Namespace | undefined
  /** Says `Connection: close` in every request, so that each takes a connection of its own. */
  readonly close?: boolean
  /** Default 64. */
  readonly maxSockets?: number
  readonly limitMs?: number
}

/** What the child process is told. */
export interface Job {
  readonly url: string
  readonly close: boolean
  readonly maxSockets: number
  readonly requests: readonly Request[]
}

const CHILD = fileURLToPath(new URL('httpClientChild.js', import.meta.url))

/** Sends all requests to the server at `url`, up to `maxSockets` at a time. */
export async function request(
  url: string,
  requests: readonly Request[],
  options: ClientOptions = {},
): Promise<Answers> {
  const { close = false, maxSockets = 64, namespace, limitMs = 300_000 } = options
  const job: Job = { url, close, maxSockets, requests }
  const input = JSON.stringify(job)
  const { code, stdout, stderr } = await run([process.execPath, CHILD], {
    namespace,
    input,
    limitMs,
  })
  if (code !== 0) throw new Error(`the HTTP client ended with code ${code}: ${stderr}`)
  return JSON.parse(stdout) as Answers
}
