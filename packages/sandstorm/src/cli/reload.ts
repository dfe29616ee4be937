/**
 * SIGHUP: the configuration is read again and handed to the instance, which also looks at its files
 * again. A configuration with mistakes, or a reload that fails, is told, and changes nothing.
 *
 * Invariant: reloads do not overlap; however often one is asked for while another runs, one follows
 * it.
 */
import { reloadable, restartKeys } from '../config/change.ts'
import { ConfigProblems } from '../config/load.ts'
import type { ServeConfig } from '../config.ts'
import type { Instance } from '../instance/instance.ts'
import type { OperatorLog } from '../log/operatorLog.ts'

export interface ReloaderOptions {
  /** What the instance was started with. */
  readonly config: ServeConfig
  /** Reads and checks the configuration; rejects with ConfigProblems for its mistakes. */
  readonly reread: () => Promise<ServeConfig>
  readonly instance: Pick<Instance, 'reload'>
  readonly log: OperatorLog
  /** A clock that never goes back. */
  readonly nowMs: () => number
}

export class Reloader {
  readonly #options: ReloaderOptions
  #isAsked = false
  #isRunning = false
  #isClosed = false

  constructor(options: ReloaderOptions) {
    this.#options = options
  }

  /** Asks for a reload from now on. */
  ask(): void {
    this.#isAsked = true
    if (!this.#isRunning) void this.#run()
  }

  /** No reload begins afterwards, and of one under way nothing more is told. */
  close(): void {
    this.#isClosed = true
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#isAsked && !this.#isClosed) {
      this.#isAsked = false
      await this.#reload()
    }
    this.#isRunning = false
  }

  /** Never rejects. */
  async #reload(): Promise<void> {
    const { reread, config, instance, log, nowMs } = this.#options
    const beginMs = nowMs()
    log.info('reloading …')
    try {
      const next = await reread()
      if (this.#isClosed) return
      this.#tellRestartKeys(next)
      await instance.reload?.(reloadable(config, next))
      log.setLevel(next.logLevel)
      if (!this.#isClosed) log.info(`reloaded in ${Math.round(nowMs() - beginMs)} ms`)
    } catch (error) {
      if (!this.#isClosed) this.#tellFailure(error)
    }
  }

  /** What only a restart brings differs from what the server started with, at every reload. */
  #tellRestartKeys(next: ServeConfig): void {
    const keys = restartKeys(this.#options.config, next)
    if (keys.length === 0) return
    this.#options.log.warn(`changed, but only a restart brings it: ${keys.join(', ')}`)
  }

  #tellFailure(error: unknown): void {
    const { log } = this.#options
    if (error instanceof ConfigProblems) {
      for (const { message } of error.problems) log.error(message)
      log.error('not reloaded: the configuration is wrong; serving goes on as before')
      return
    }
    const why = error instanceof Error ? error.message : String(error)
    log.error(`not reloaded: ${why}; serving goes on as before`)
  }
}
