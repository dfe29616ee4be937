/**
 * Gather: fresh headers, and behind them the stored bytes from where they lie. Only the head is
 * copied, into the header's frame, since two of its fields differ. On TAP one frame carries up to
 * 64 KB, which the kernel cuts (GSO) and sums only if it ever leaves the machine: the fewer frames,
 * the cheaper (one write costs 2 µs whatever its length).
 *
 * Without checksum offload (behind the fault wrapper) frames are one segment long and fully summed.
 */
import { NO_FRAME, OFFLOAD_NONE, offload, PAYLOAD_OFF } from '@sandstorm/libnmio'
import { BUSY, checksum, headersLen, SUM_BY_DEVICE, tcb, tcpOff } from '@sandstorm/libtcpip'
import { HEAD_LEN, IMAGE_OFF } from '../content/image.ts'
import { LEN } from './answers.ts'
import type { Ledger } from './ledger.ts'
import { NO_HEAD } from './madeHeads.ts'
import { FrameBuilder, type TransmitContext, type Transmitter } from './transmitter.ts'

export class GatherTransmitter implements Transmitter {
  readonly #builder: FrameBuilder
  readonly #offloads: boolean
  /** What one frame may be long, headers included; 0: one segment. */
  readonly #superFrameBytes: number

  constructor(context: TransmitContext) {
    this.#builder = new FrameBuilder(context)
    const { caps } = context.tcp.device
    this.#offloads = caps.txChecksum
    this.#superFrameBytes = caps.gsoMaxBytes
  }

  get ledger(): Ledger {
    return this.#builder.ledger
  }

  segmentBytes(mss: number): number {
    return mss
  }

  transmit(c: number, a: number, at: number, room: number): number {
    const { tcp, records } = this.#builder
    const mss = tcp.tcb[c + tcb.MSS]
    const left = records[a + LEN] - at
    // CWR is for one segment (RFC 3168 §6.1.2), which therefore goes alone.
    const isReduced = (tcp.tcb[c + tcb.FLAGS] & tcb.SEND_CWR) !== 0
    const payloadMax = isReduced ? 0 : this.#superFrameBytes - headersLen(tcp.tcb, c)
    // A head is copied, and may be longer than what a frame holds.
    const most = payloadMax > mss && this.#headFits(a, at) ? payloadMax : mss
    const bound = room < most ? room : most
    // Whole segments, but for the answer's last.
    const len = left <= bound ? left : bound - (bound % mss)
    return len === 0 ? 0 : this.transmitExactly(c, a, at, len)
  }

  transmitExactly(c: number, a: number, at: number, len: number): number {
    const { tcp, frames, fields, ledger } = this.#builder
    const frame = frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const payloadOff = frames.payloadOff(frame)
    const headLeft = this.#headLen(a) - at
    const headLen = headLeft <= 0 ? 0 : headLeft < len ? headLeft : len
    if (headLen > 0) {
      fields.copy(a, at, headLen, payloadOff)
      ledger.payloadBytesCopied += headLen
    }
    const bodyOff = this.#bodyOff(a) + (headLeft > 0 ? 0 : -headLeft)
    const bodyLen = len - headLen
    const sum = this.#offloads ? SUM_BY_DEVICE : this.#sum(payloadOff, headLen, bodyOff, bodyLen)
    const seq = this.#builder.seqOf(a, at)
    tcp.headers.begin(c, seq)
    const off = tcp.headers.write(payloadOff, seq, len, sum)
    const mss = tcp.tcb[c + tcb.MSS]
    const key = tcp.tcb[c + tcb.FRAME_KEY]
    const version = key & tcb.KIND_IPV6 ? 6 : 4
    const gsoSize = len > mss ? mss : 0
    const request = this.#offloads ? offload(version, tcpOff(key), gsoSize) : OFFLOAD_NONE
    ledger.gatherFrames++
    tcp.stats.outSegs++
    frames.sent(frame)
    const ownLen = tcp.headers.len + headLen
    if (bodyLen === 0) tcp.device.push(off, ownLen, request)
    else tcp.device.gather(off, ownLen, bodyOff, bodyLen, request)
    return len
  }

  /** Is what is left of the head no longer than a frame's payload? */
  #headFits(a: number, at: number): boolean {
    return this.#headLen(a) - at <= this.#builder.frames.frameSize - PAYLOAD_OFF
  }

  /** Of answer `a`: bytes of its head, and where its body begins in the region. */
  #headLen(a: number): number {
    const { answers, content } = this.#builder
    const head = answers.headOf(a)
    return head === NO_HEAD
      ? content.images[answers.imageOf(a) + HEAD_LEN]
      : answers.heads.len[head]
  }
  #bodyOff(a: number): number {
    const { answers, content } = this.#builder
    const head = answers.headOf(a)
    if (head !== NO_HEAD) return answers.heads.bodyOff(head)
    const image = answers.imageOf(a)
    return content.images[image + IMAGE_OFF] + content.images[image + HEAD_LEN]
  }

  #sum(headOff: number, headLen: number, bodyOff: number, bodyLen: number): number {
    const { view } = this.#builder.region
    this.#builder.ledger.payloadBytesSummed += headLen + bodyLen
    const body = checksum.sum(view, bodyOff, bodyLen)
    return checksum.sum(view, headOff, headLen) + (headLen & 1 ? checksum.atOdd(body) : body)
  }
}
