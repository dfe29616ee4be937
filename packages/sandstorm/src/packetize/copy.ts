/**
 * The memcpy variant (paper §3, Figures 3 and 4): segments as the templates have them, checksums
 * known beforehand, but each frame's payload is copied when it is sent. It suits devices that copy
 * anyway, and shows what finished packets are worth on those that do not.
 */
import { tcb } from '@sandstorm/libtcpip'
import { IMAGE, LEN } from './answers.ts'
import { Layouts, segmentBytes } from './layouts.ts'
import type { Ledger } from './ledger.ts'
import { FrameBuilder, type TransmitContext, type Transmitter } from './transmitter.ts'

export class CopyTransmitter implements Transmitter {
  readonly #builder: FrameBuilder
  readonly #layouts: Layouts

  constructor(context: TransmitContext) {
    this.#builder = new FrameBuilder(context)
    this.#layouts = new Layouts(context.content, this.#builder.ledger)
  }

  get ledger(): Ledger {
    return this.#builder.ledger
  }

  segmentBytes(mss: number): number {
    return segmentBytes(mss)
  }

  transmit(c: number, a: number, at: number, room: number): number {
    const builder = this.#builder
    const mss = builder.tcp.tcb[c + tcb.MSS]
    const left = builder.records[a + LEN] - at
    const layout = this.#layouts.find(builder.records[a + IMAGE], mss)
    if (layout === undefined || layout.totalLen !== builder.records[a + LEN]) {
      const len = left < mss ? left : mss
      return len > room ? 0 : builder.sendCopy(c, a, at, len)
    }
    const k = layout.segmentAt(at)
    const len = layout.endOf(k) - at
    if (len > room) return 0
    if (at !== layout.startOf(k)) return builder.sendCopy(c, a, at, len)
    return builder.sendSegment(c, a, at, len, layout.sums[k])
  }

  transmitExactly(c: number, a: number, at: number, len: number): number {
    return this.#builder.sendCopy(c, a, at, len)
  }
}
