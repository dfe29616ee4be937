/**
 * The main thread's end of the access log: takes the records of all packet threads from their rings
 * (accessRing.ts), formats them and writes them to the file. Rings belong to places, not to
 * threads: a packet thread that is replaced goes on in its predecessor's.
 */

import type { AccessFile } from './accessFile.ts'
import { type AccessFormatName, accessFormat } from './accessFormat.ts'
import type { AccessRecord } from './accessLog.ts'
import { AccessRing } from './accessRing.ts'
import type { LimitedLog } from './operatorLog.ts'

export interface AccessPollerOptions {
  /** Of each packet thread: AccessRing.allocate(). */
  readonly rings: readonly SharedArrayBuffer[]
  readonly format: AccessFormatName
  /** Its end is the poller's. */
  readonly file: AccessFile
  /** Told when packet threads had to drop records. */
  readonly log: LimitedLog
  /** Default 100. */
  readonly everyMs?: number
}

/** For metrics; never reset. */
export interface AccessLogStats {
  /** Lines taken for the file. */
  readonly lines: number
  /** Answers that are in no file: no room in a ring, or the disk too slow. */
  readonly dropped: number
  /** Writes that failed, and reopenings. */
  readonly errors: number
}

const EVERY_MS = 100
const TELL_MS = 60_000

export class AccessPoller {
  readonly #rings: readonly AccessRing[]
  readonly #file: AccessFile
  readonly #log: LimitedLog
  readonly #consume: (record: AccessRecord) => void
  readonly #timer: NodeJS.Timeout
  #ringsDropped = 0

  /** Begins; the timer keeps no process alive. */
  constructor(options: AccessPollerOptions) {
    const format = accessFormat(options.format)
    const { file } = options
    this.#rings = options.rings.map(memory => new AccessRing(memory))
    this.#file = file
    this.#log = options.log
    this.#consume = record => file.write(format(record))
    this.#timer = setInterval(() => this.poll(), options.everyMs ?? EVERY_MS).unref()
  }

  /** Takes what there is now. */
  poll(): void {
    let dropped = 0
    for (const ring of this.#rings) {
      ring.drain(this.#consume)
      dropped += ring.dropped
    }
    if (dropped === this.#ringsDropped) return
    this.#ringsDropped = dropped
    const line = 'answers come faster than they can be logged, and some are in no line'
    this.#log.limited('access log: rings', line, TELL_MS)
  }

  /** Log rotation: answers from before go to the old file. Settles when the new one was tried. */
  reopen(): Promise<void> {
    this.poll()
    return this.#file.reopen()
  }

  /** Takes and writes what is left; when the packet threads have ended. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.poll()
    await this.#file.close()
  }

  get stats(): AccessLogStats {
    const { lines, dropped, errors } = this.#file.stats
    return { lines, dropped: dropped + this.#ringsDropped, errors }
  }
}
