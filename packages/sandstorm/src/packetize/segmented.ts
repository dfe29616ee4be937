/**
 * What `template` and `copy` have in common: an answer leaves in the segments of its layout, as
 * many as fit, one behind the other. Pieces that begin or end inside a segment (an ACK fell into
 * it, HEAD of an image with a body, the ends of a range, a peer below the ladder) are framed by
 * copying; the ledger counts them.
 */
import { BUSY, tcb } from '@sandstorm/libtcpip'
import { LEN } from './answers.ts'
import { type Layout, Layouts, segmentBytes } from './layouts.ts'
import type { Ledger } from './ledger.ts'
import { NO_HEAD } from './madeHeads.ts'
import { FrameBuilder, type TransmitContext, type Transmitter } from './transmitter.ts'

export abstract class SegmentTransmitter implements Transmitter {
  protected readonly builder: FrameBuilder
  readonly #layouts: Layouts

  constructor(context: TransmitContext) {
    this.builder = new FrameBuilder(context)
    this.#layouts = new Layouts(context.content, this.builder.ledger)
  }

  /**
   * Pushes segment `k`, which begins at byte `at` of the answer, behind headers that are begun;
   * BUSY if there is no frame for it.
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
    const { answers, records, tcp } = this.builder
    const mss = tcp.tcb[c + tcb.MSS]
    const left = records[a + LEN] - at
    const most = left < mss ? left : mss
    const layout = this.#layouts.find(answers.imageOf(a), mss)
    if (layout === undefined) return this.#sendPiece(c, a, at, most, room)
    const head = answers.headOf(a)
    if (head !== NO_HEAD && at < answers.heads.len[head]) {
      return this.#sendPiece(c, a, at, this.#withHead(head, at, most, left, layout), room)
    }
    // From here on places are those of the image.
    const shift = head === NO_HEAD ? 0 : answers.heads.shiftOf(head)
    const k = layout.segmentAt(at + shift)
    const end = at + left + shift
    const isWhole = at + shift === layout.startOf(k) && layout.endOf(k) <= end
    if (isWhole) return this.#sendRun(c, a, at, room, layout, k, shift)
    const reach = layout.endOf(k) < end ? layout.endOf(k) : end
    return this.#sendPiece(c, a, at, reach - at - shift, room)
  }

  /**
   * How much to send with a made head from `at` on: so much of the body that what follows begins
   * with a segment, if one ends within `most`.
   */
  #withHead(head: number, at: number, most: number, left: number, layout: Layout): number {
    const { heads } = this.builder.answers
    if (most === left || at + most <= heads.len[head]) return most
    const shift = heads.shiftOf(head)
    const boundary = layout.startOf(layout.segmentAt(at + most + shift)) - shift
    return boundary > heads.len[head] ? boundary - at : most
  }

  transmitExactly(c: number, a: number, at: number, len: number): number {
    return this.builder.sendCopy(c, a, at, len)
  }

  #sendPiece(c: number, a: number, at: number, len: number, room: number): number {
    return len > room ? 0 : this.builder.sendCopy(c, a, at, len)
  }

  /**
   * Segments from `first` on, while they fit in `room`, the answer goes on and the ring has space.
   */
  #sendRun(
    c: number,
    a: number,
    at: number,
    room: number,
    layout: Layout,
    first: number,
    shift: number,
  ): number {
    const { tcp, records } = this.builder
    const { device, headers } = tcp
    headers.begin(c, this.builder.seqOf(a, at))
    const left = records[a + LEN] - at
    const bound = room < left ? room : left
    const space = device.txSpace()
    const last = layout.segmentCount - first < space ? layout.segmentCount : first + space
    let sent = 0
    for (let k = first; k < last; k++) {
      const len = layout.endOf(k) - shift - at - sent
      if (sent + len > bound) break
      if (this.sendSegment(a, at + sent, len, layout, k) === BUSY) return sent > 0 ? sent : BUSY
      sent += len
    }
    return sent
  }
}
