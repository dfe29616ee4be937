/**
 * Finished packets (paper §2.1): a segment is framed once, payload in place and summed, and from
 * then on sent to every client by patching a dozen header fields. A frame that is still in the
 * device's ring cannot be patched, so another connection that needs it gets a replica, made on
 * demand at the high-water mark and retained: what the paper proposes as its future work.
 *
 * Replicas of a segment form a ring in the order of sending. Frames complete in that order, so if
 * the oldest is still in flight, all are, and a new replica is due. When the pool runs low, frames
 * of the least recently used layouts are given up; the content itself stays, so any frame can be
 * made again. If none can be given up, the segment is copied into a frame that is sent once
 * (copy.ts).
 */
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { IMAGE_OFF } from '../content/image.ts'
import { DATE_SEC } from './answers.ts'
import type { Layout } from './layouts.ts'
import { Recency } from './recency.ts'
import { SegmentTransmitter } from './segmented.ts'
import type { TransmitContext } from './transmitter.ts'

/** Frames that templates leave to ACKs, SYN-ACKs and copies. */
const RESERVED_FRAMES = 256
/** Segments that are looked at, least recently used first, for one whose frames are all idle. */
const EVICTION_TRIES = 64
/**
 * What a new frame was written for: -1 is neither a frame key (tcb.ts) nor a value of Connection.
 * It is a second, though, so of a new frame's head fields Connection alone says that they are to be
 * written.
 */
const CARRIES_NOTHING = -1

export class TemplateTransmitter extends SegmentTransmitter {
  readonly #recency = new Recency()
  readonly #replicasAhead: number
  // By frame: the next replica, and what its headers and head fields were last written for.
  readonly #nextReplica: Int32Array
  readonly #headerKey: Int32Array
  readonly #dateSec: Int32Array
  readonly #close: Int32Array

  /** `replicas`: copies of each frame made at once (the paper's own version); 1 is on demand. */
  constructor(context: TransmitContext, replicas: number) {
    super(context)
    this.#replicasAhead = replicas
    const { capacity } = context.tcp.frames
    this.#nextReplica = new Int32Array(capacity)
    this.#headerKey = new Int32Array(capacity)
    this.#dateSec = new Int32Array(capacity)
    this.#close = new Int32Array(capacity)
  }

  protected override sendSegment(
    a: number,
    at: number,
    len: number,
    layout: Layout,
    k: number,
  ): number {
    if (k === 0 && layout.frameCount > 0) this.#recency.touch(layout)
    const frame = this.#idleFrame(layout, k)
    if (frame === NO_FRAME) return this.builder.sendSegment(a, at, len, layout.sums[k])
    const { tcp, frames, ledger } = this.builder
    const payloadOff = frames.payloadOff(frame)
    const sum = layout.sums[k] + (k === 0 ? this.#patchHead(a, frame, payloadOff) : 0)
    const seq = this.builder.seqOf(a, at)
    const { headers } = tcp
    const off = this.#fits(frame, headers.key)
      ? headers.patch(payloadOff, seq, len, sum)
      : headers.write(payloadOff, seq, len, sum)
    ledger.templateFrames++
    tcp.stats.outSegs++
    frames.sent(frame)
    tcp.device.push(off, headers.len + len, OFFLOAD_NONE)
    return len
  }

  /** Were the frame's headers last written for the same constant fields? Notes them. */
  #fits(frame: number, key: number): boolean {
    if (this.#headerKey[frame] === key) return true
    this.#headerKey[frame] = key
    return false
  }

  /** Makes frame 0 carry the answer's Date and Connection; returns what they add to the sum. */
  #patchHead(a: number, frame: number, payloadOff: number): number {
    const { answers, records, fields, ledger } = this.builder
    const second = records[a + DATE_SEC]
    const close = answers.closes(a)
    if (this.#dateSec[frame] !== second || this.#close[frame] !== close) {
      fields.write(a, payloadOff)
      this.#dateSec[frame] = second
      this.#close[frame] = close
      ledger.headPatches++
    }
    return fields.sum(a)
  }

  /** A frame of segment `k` that is not in flight, made if need be; NO_FRAME if none can be had. */
  #idleFrame(layout: Layout, k: number): number {
    const newest = layout.newestFrame[k]
    if (newest === NO_FRAME) return this.#firstFrame(layout, k)
    const oldest = this.#nextReplica[newest]
    const frame = this.builder.frames.isInFlight(oldest) ? this.#replica(layout, k) : oldest
    if (frame !== NO_FRAME) layout.newestFrame[k] = frame
    return frame
  }

  #firstFrame(layout: Layout, k: number): number {
    const frame = this.#build(layout, k)
    if (frame === NO_FRAME) return NO_FRAME
    this.#nextReplica[frame] = frame
    layout.newestFrame[k] = frame
    for (let i = 1; i < this.#replicasAhead; i++) this.#replica(layout, k)
    return frame
  }

  /** Puts one more frame into the ring, behind the newest and before the oldest. */
  #replica(layout: Layout, k: number): number {
    const frame = this.#build(layout, k)
    if (frame === NO_FRAME) return NO_FRAME
    const newest = layout.newestFrame[k]
    this.#nextReplica[frame] = this.#nextReplica[newest]
    this.#nextReplica[newest] = frame
    this.builder.ledger.replicasBuilt++
    return frame
  }

  #build(layout: Layout, k: number): number {
    const { frames, region, content, ledger } = this.builder
    if (frames.freeCount <= RESERVED_FRAMES && !this.#evict(layout)) return NO_FRAME
    const frame = frames.alloc()
    if (frame === NO_FRAME) return NO_FRAME
    frames.retain(frame)
    const from = content.images[layout.image + IMAGE_OFF] + layout.startOf(k)
    const len = layout.endOf(k) - layout.startOf(k)
    region.copy(frames.payloadOff(frame), from, len)
    this.#headerKey[frame] = CARRIES_NOTHING
    this.#close[frame] = CARRIES_NOTHING
    layout.frameCount++
    this.#recency.touch(layout)
    ledger.templatesBuilt++
    ledger.payloadBytesCopied += len
    return frame
  }

  /**
   * Gives up frames of other layouts, those first that were not used for longest; true if one can
   * be had.
   */
  #evict(keep: Layout): boolean {
    const { frames } = this.builder
    for (let i = 0; i < EVICTION_TRIES && frames.freeCount <= RESERVED_FRAMES; i++) {
      const layout = this.#recency.oldest
      if (layout === null || layout === keep) break
      if (layout.evictAt < layout.segmentCount) {
        this.#giveUp(layout, layout.evictAt++)
      } else {
        // What is left of it is in flight, so it is in use after all.
        layout.evictAt = 0
        this.#recency.touch(layout)
      }
    }
    return frames.freeCount > RESERVED_FRAMES
  }

  /** Frees the frames of segment `k` if all are idle: the newest was sent last, so it tells. */
  #giveUp(layout: Layout, k: number): void {
    const { frames, ledger } = this.builder
    const newest = layout.newestFrame[k]
    if (newest === NO_FRAME || frames.isInFlight(newest)) return
    let frame = newest
    do {
      const next = this.#nextReplica[frame]
      frames.free(frame)
      layout.frameCount--
      ledger.templatesEvicted++
      frame = next
    } while (frame !== newest)
    layout.newestFrame[k] = NO_FRAME
    if (layout.frameCount > 0) return
    layout.evictAt = 0
    this.#recency.remove(layout)
  }
}
