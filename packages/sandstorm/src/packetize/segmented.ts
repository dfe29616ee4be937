/**
 * What `template` and `copy` have in common: an answer leaves in the segments of its layout, as many
 * as fit, one behind the other. Pieces that begin or end inside a segment (an ACK fell into it, HEAD
 * of an image with a body, a peer below the ladder) are framed by copying; the ledger counts them.
 */
import { BUSY, tcb } from '@sandstorm/libtcpip'
import { imageOf, LEN } from './answers.ts'
import { type Layout, Layouts, segmentBytes } from './layouts.ts'
import type { Ledger } from './ledger.ts'
import { FrameBuilder, type TransmitContext, type Transmitter } from './transmitter.ts'

export abstract class SegmentTransmitter implements Transmitter {
  protected readonly builder: FrameBuilder
  readonly #layouts: Layouts

  constructor(context: TransmitContext) {
    this.builder = new FrameBuilder(context)
    this.#layouts = new Layouts(context.content, this.builder.ledger)
  }

  /**
   * Pushes segment `k`, which begins at byte `at` of the answer, behind headers that are begun; BUSY if
   * there is no frame for it.
   */
  protected abstract sendSegment(
    a: number,
    at: number,
    len: number,
    layout: Layout,
    k: number,
  ): number

  get ledger(): Ledger {
    return this.builder.ledger
  }

  segmentBytes(mss: number): number {
    return segmentBytes(mss)
  }

  transmit(c: number, a: number, at: number, room: number): number {
    const { records, tcp } = this.builder
    const mss = tcp.tcb[c + tcb.MSS]
    const layout = this.#layouts.find(imageOf(records, a), mss)
    if (layout === undefined || layout.totalLen !== records[a + LEN]) {
      const left = records[a + LEN] - at
      return this.#sendPiece(c, a, at, left < mss ? left : mss, room)
    }
    const k = layout.segmentAt(at)
    if (at !== layout.startOf(k)) return this.#sendPiece(c, a, at, layout.endOf(k) - at, room)
    return this.#sendRun(c, a, at, room, layout, k)
  }

  transmitExactly(c: number, a: number, at: number, len: number): number {
    return this.builder.sendCopy(c, a, at, len)
  }

  #sendPiece(c: number, a: number, at: number, len: number, room: number): number {
    return len > room ? 0 : this.builder.sendCopy(c, a, at, len)
  }

  /** Segments from `first` on, while they fit in `room` and the ring has space. */
  #sendRun(c: number, a: number, at: number, room: number, layout: Layout, first: number): number {
    const { device, headers } = this.builder.tcp
    headers.begin(c, this.builder.seqOf(a, at))
    const space = device.txSpace()
    const last = layout.segmentCount - first < space ? layout.segmentCount : first + space
    let sent = 0
    for (let k = first; k < last; k++) {
      const len = layout.endOf(k) - at - sent
      if (sent + len > room) break
      if (this.sendSegment(a, at + sent, len, layout, k) === BUSY) return sent > 0 ? sent : BUSY
      sent += len
    }
    return sent
  }
}
