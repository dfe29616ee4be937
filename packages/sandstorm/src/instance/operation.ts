/**
 * What stands beside an instance on the main thread: its access log and its admin server. Both are
 * there before the content is loaded, so that a path that cannot be written to, or a port that is
 * taken, is known at once, and so that somebody who asks hears "loading".
 */
import { AdminServer } from '../admin/adminServer.ts'
import type { Metrics } from '../admin/metrics.ts'
import type { ServeConfig } from '../config.ts'
import { AccessFile } from '../log/accessFile.ts'
import { AccessPoller } from '../log/accessPoller.ts'
import { AccessRing } from '../log/accessRing.ts'
import type { OperatorLog } from '../log/operatorLog.ts'
import type { Instance } from './instance.ts'

export class Operation {
  /** For each place of a packet thread, where it notes its answers; none: they are not noted. */
  readonly rings: readonly SharedArrayBuffer[]
  readonly #poller: AccessPoller | undefined
  #admin: AdminServer | undefined
  #instance: Instance | undefined
  #health: 'loading' | 'serving' | 'draining' | 'failed' = 'loading'

  /** Rejects with one clear line if a file or an address cannot be had. */
  static async open(config: ServeConfig, log: OperatorLog): Promise<Operation> {
    const { accessLog, admin } = config
    let poller: AccessPoller | undefined
    let rings: SharedArrayBuffer[] = []
    if (accessLog.path !== '') {
      rings = Array.from({ length: threadsOf(config) }, () => AccessRing.allocate())
      const file = await AccessFile.open({ path: accessLog.path, log })
      poller = new AccessPoller({ rings, format: accessLog.format, file, log })
    }
    const operation = new Operation(rings, poller)
    if (admin === undefined) return operation
    try {
      operation.#admin = await AdminServer.start({
        ...admin,
        snapshot: () => operation.#snapshot(),
        health: () => operation.#health,
        store: () => operation.#instance?.store,
        connections: () => operation.#instance?.inspector?.connections(),
        log,
      })
    } catch (error) {
      await operation.close()
      throw error
    }
    return operation
  }

  private constructor(rings: readonly SharedArrayBuffer[], poller: AccessPoller | undefined) {
    this.rings = rings
    this.#poller = poller
  }

  /** The instance that serves; it also ends what is here. */
  attach(instance: Instance): Instance {
    this.#instance = instance
    this.#health = 'serving'
    const done = instance.done.then(async ending => {
      this.#health = 'failed'
      await this.close()
      return ending
    })
    return {
      ...instance,
      done,
      stop: async () => {
        this.#health = 'draining'
        await instance.stop()
        await done
      },
      reopenLogs: async () => this.#poller?.reopen(),
    }
  }

  /** Writes what is left of the log, and answers nobody any more. */
  async close(): Promise<void> {
    await this.#poller?.close()
    await this.#admin?.close()
  }

  async #snapshot(): Promise<Metrics> {
    const metrics = await this.#instance?.metrics()
    if (metrics === undefined) throw new Error('nothing serves yet')
    if (this.#poller === undefined) return metrics
    return { ...metrics, counters: { ...metrics.counters, accessLog: this.#poller.stats } }
  }
}

/** Packet threads; the kernel's stack, also when it is what is left, has one. */
function threadsOf({ devices, workers }: ServeConfig): number {
  return devices.length * workers
}
