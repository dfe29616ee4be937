/**
 * A running server, from a checked configuration to the last frame. Its parts are put together
 * here and nowhere else.
 */
import type { ServeConfig } from './config.ts'

/** Where an instance says what it does, one line at a time. */
export interface Log {
  info(line: string): void
  warn(line: string): void
}

export interface Instance {
  /** Where it answers: `http://10.77.0.2/`. */
  readonly url: string
  /** For people: `tap:sand0`. */
  readonly device: string
  /** Ends it cleanly; idempotent. */
  stop(): Promise<void>
  /** Settles when it is over, by `stop` or by itself; `code` is for the process. */
  readonly done: Promise<{ code: number; message: string }>
}

/** Starts serving; settles when requests are answered. */
export function startInstance(_config: ServeConfig, _log: Log): Promise<Instance> {
  return Promise.reject(new Error('not built yet'))
}
