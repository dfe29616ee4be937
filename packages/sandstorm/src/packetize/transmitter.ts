/**
 * A transmit strategy turns "bytes from `at` on of answer `a`" into frames in the device's ring:
 * `template` sends finished packets, `gather` sends fresh headers and the stored bytes behind them,
 * `copy` is the memcpy variant (paper §3). All give the same bytes; one is chosen per server.
 */
import { type FramePool, NO_FRAME, OFFLOAD_NONE, type Region } from '@sandstorm/libnmio'
import { BUSY, checksum, type Tcp } from '@sandstorm/libtcpip'
import type { Content } from '../content/content.ts'
import { type Answers, BASE } from './answers.ts'
import { HeadFields } from './headFields.ts'
import { type Ledger, newLedger } from './ledger.ts'

export interface Transmitter {
  readonly ledger: Ledger
  /** Segment payload to use towards a peer that takes `mss`. */
  segmentBytes(mss: number): number
  /** Frames of whole segments, at most `room` bytes in all; 0: none fits; BUSY: no frame now. */
  transmit(c: number, a: number, at: number, room: number): number
  /** One frame with exactly `len` bytes, wherever segments begin and end. */
  transmitExactly(c: number, a: number, at: number, len: number): number
}

/** What every strategy works on. */
export interface TransmitContext {
  readonly tcp: Tcp
  readonly content: Content
  readonly answers: Answers
}

/** The part that strategies share: a frame made by copying, for pieces that fit no segment. */
export class FrameBuilder {
  readonly tcp: Tcp
  readonly content: Content
  readonly answers: Answers
  readonly records: Int32Array
  readonly frames: FramePool
  readonly region: Region
  readonly fields: HeadFields
  readonly ledger: Ledger = newLedger()

  constructor(context: TransmitContext) {
    this.tcp = context.tcp
    this.content = context.content
    this.answers = context.answers
    this.records = context.answers.records
    this.frames = context.tcp.frames
    // Of the two views of one memory the one that hands out what is ours.
    this.region = context.tcp.frames.region
    this.fields = new HeadFields(this.region, this.content.images, this.answers)
  }

  /** Sequence number of byte `at` of answer `a`. */
  seqOf(a: number, at: number): number {
    return (this.records[a + BASE] + at) | 0
  }

  /** Copies [at, at + len) of answer `a` into a frame, sums it and pushes it. */
  sendCopy(c: number, a: number, at: number, len: number): number {
    const frame = this.frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const payloadOff = this.frames.payloadOff(frame)
    this.tcp.headers.begin(c, this.seqOf(a, at))
    this.fields.copy(a, at, len, payloadOff)
    const sum = checksum.sum(this.region.view, payloadOff, len)
    this.ledger.payloadBytesCopied += len
    this.ledger.payloadBytesSummed += len
    this.ledger.copyFrames++
    return this.#push(a, at, len, frame, sum)
  }

  /**
   * Likewise a segment of a layout, whose `sum` is known (layouts.ts), in a run whose headers are
   * begun.
   */
  sendSegment(a: number, at: number, len: number, sum: number): number {
    const frame = this.frames.alloc()
    if (frame === NO_FRAME) return BUSY
    this.fields.copy(a, at, len, this.frames.payloadOff(frame))
    this.ledger.payloadBytesCopied += len
    this.ledger.copyFrames++
    return this.#push(a, at, len, frame, at === 0 ? sum + this.fields.sum(a) : sum)
  }

  /** Writes all headers of a frame whose payload is ready, and pushes it. */
  #push(a: number, at: number, len: number, frame: number, sum: number): number {
    const tcp = this.tcp
    const off = tcp.headers.write(this.frames.payloadOff(frame), this.seqOf(a, at), len, sum)
    tcp.stats.outSegs++
    this.frames.sent(frame)
    tcp.device.push(off, tcp.headers.len + len, OFFLOAD_NONE)
    return len
  }
}
