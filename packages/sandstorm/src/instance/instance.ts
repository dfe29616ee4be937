/** A running server as the command line sees it, whatever it runs on. */
import type { Metrics } from '../admin/metrics.ts'
import type { ServeConfig } from '../config.ts'
import type { LoadOptions } from '../content/live.ts'
import type { Inspector } from '../control/inspector.ts'
import type { Fronts } from '../front/fronts.ts'

/** Where an instance says what it does, one line at a time. */
export interface Log {
  info(line: string): void
  warn(line: string): void
  /** Told how far loading has come; left out: nobody looks. */
  readonly onProgress?: LoadOptions['onProgress']
  /** Told at the end what was counted: plain data, by name. */
  stats(counters: object): void
}

/** A device, and where an instance answers on it. */
export interface Endpoint {
  /** `http://10.77.0.2/`. */
  readonly url: string
  /** For people: `tap:sand0`. */
  readonly device: string
}

export interface Instance {
  /** One at least. */
  readonly endpoints: readonly Endpoint[]
  /** Ends it cleanly; idempotent. */
  stop(): Promise<void>
  /** Settles when it is over, by `stop` or by itself; `code` is for the process. */
  readonly done: Promise<{ code: number; message: string }>
  /** Looks at its connections; undefined where the kernel has them. */
  readonly inspector?: Inspector
  /** What it has stored of origins' answers; undefined where there is no origin. */
  readonly store?: Pick<Fronts, 'purge' | 'list'>
  /** All that it counts. */
  metrics(): Promise<Metrics>
  /** For log rotation: what is noted from now on goes to a new file of the same name. */
  reopenLogs?(): Promise<void>
  /**
   * Serves what this configuration says, and looks at all files again. It is the one that the
   * instance was started with but for what a reload can change (config/change.ts). Settles when new
   * answers are of it; rejects with one clear line, and then nothing has changed. Calls do not
   * overlap.
   */
  reload?(config: ServeConfig): Promise<void>
}
