/**
 * Limits by source: whom a connection comes from, as a key, and how many each source has, half open
 * and in all. Two flags in the TCB say what was counted for it, and so has to be taken away again
 * (sourceLimit.ts says why that need not be everything). Passive opens alone are counted.
 */
import type { TcpConfig } from '../config.ts'
import type { Segment } from '../segmentVariables.ts'
import { FLAGS, FRAME_KEY, HALF_COUNTED, KIND_IPV6, OPEN_COUNTED, REMOTE } from '../tcb.ts'
import { SourceLimit, sourceKey } from './sourceLimit.ts'

export class Sources {
  readonly halfOpen: SourceLimit
  /** Half open ones too. */
  readonly open: SourceLimit
  readonly #secret: number

  constructor(config: TcpConfig, backlog: number, secret: number) {
    this.halfOpen = new SourceLimit(backlog, config.maxHalfOpenPerSource)
    this.open = new SourceLimit(config.maxConnections, config.maxPerSource)
    this.#secret = secret
  }

  /**
   * The key of an address, by its first two words: of IPv6 (`kind`) a whole /64, since a host may
   * have any address in it.
   */
  key(w0: number, w1 = 0, kind = 0): number {
    const key = sourceKey(w0, this.#secret)
    return kind & KIND_IPV6 ? sourceKey(key ^ w1, this.#secret) : key
  }

  /** The key of a segment's source. */
  keyOfSegment({ remote0, remote1, kind }: Segment): number {
    return this.key(remote0, remote1, kind)
  }

  /** A handshake begins. */
  begin(tcb: Int32Array, c: number): void {
    const key = this.#keyOf(tcb, c)
    if (this.halfOpen.add(key)) tcb[c + FLAGS] |= HALF_COUNTED
    if (this.open.add(key)) tcb[c + FLAGS] |= OPEN_COUNTED
  }

  /** The handshake is over, one way or the other. */
  endHandshake(tcb: Int32Array, c: number): void {
    if (tcb[c + FLAGS] & HALF_COUNTED) this.halfOpen.remove(this.#keyOf(tcb, c))
    tcb[c + FLAGS] &= ~HALF_COUNTED
  }

  /** The connection has ended. */
  end(tcb: Int32Array, c: number): void {
    if (tcb[c + FLAGS] & OPEN_COUNTED) this.open.remove(this.#keyOf(tcb, c))
  }

  #keyOf(tcb: Int32Array, c: number): number {
    return this.key(tcb[c + REMOTE], tcb[c + REMOTE + 1], tcb[c + FRAME_KEY])
  }
}
