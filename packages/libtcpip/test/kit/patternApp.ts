/**
 * The scripted application: its stream is a pattern, so that the byte at any offset is known and
 * every segment can be checked (invariant 2: a byte is never sent differently again). What it does
 * in a callback, a test sets; what it heard, a test reads.
 */
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import {
  type Application,
  BUSY,
  checksum,
  ending,
  seq as seqs,
  type Tcp,
  tcb,
} from '../../src/index.ts'

/** The stream's byte at an offset: no short period, so that a shifted segment never fits. */
export const patternByte = (offset: number): number =>
  (Math.imul(offset ^ (offset >>> 11), 0x9e3779b1) >>> 24) & 0xff

export class PatternApp implements Application {
  tcp!: Tcp
  /** `open`, `data 5`, `fin`, `acked 100`, `timeout`, `closed`, `failed: reset`, in order. */
  readonly events: string[] = []
  /** Bytes received, all connections together. */
  received: number[] = []
  /** False: events and bytes are not kept (long runs). */
  recording = true
  /** Connections open now. */
  openCount = 0
  /** Segments are cut at multiples of this, or of the MSS if it is smaller. */
  segmentMax = 65535
  /** Segments that one frame may hold, as a device that cuts them would take. */
  segmentsPerFrame = 1
  /** How often `transmit` was refused for want of a frame. */
  busyCount = 0
  // What to do in a callback.
  doOpen: (c: number) => void = () => {}
  doData: (c: number, len: number) => number = (_c, len) => len
  doFin: (c: number) => void = () => {}
  doAcked: (c: number) => void = () => {}
  doTimeout: (c: number) => void = () => {}
  doClosed: (c: number, why: number) => void = () => {}
  readonly #start: Int32Array

  constructor(maxConnections: number) {
    this.#start = new Int32Array(maxConnections)
  }

  segmentBytes(mss: number): number {
    return mss < this.segmentMax ? mss : this.segmentMax
  }

  onOpen(c: number): void {
    this.openCount++
    this.#start[tcb.indexOf(c)] = this.tcp.tcb[c + tcb.SND_UNA]
    if (this.recording) this.events.push('open')
    this.doOpen(c)
  }

  onData(c: number, off: number, len: number): number {
    const taken = this.doData(c, len)
    if (this.recording) {
      this.events.push(`data ${taken}`)
      const bytes = this.tcp.frames.region.bytes
      for (let i = 0; i < taken; i++) this.received.push(bytes[off + i])
    }
    return taken
  }

  onFin(c: number): void {
    if (this.recording) this.events.push('fin')
    this.doFin(c)
  }

  onAcked(c: number): void {
    if (this.recording) this.events.push(`acked ${this.#offset(c, this.tcp.tcb[c + tcb.SND_UNA])}`)
    this.doAcked(c)
  }

  onTimeout(c: number): void {
    if (this.recording) this.events.push('timeout')
    this.doTimeout(c)
  }

  onClosed(c: number, why: number): void {
    const wasOpen = (this.tcp.tcb[c + tcb.FLAGS] & tcb.OPENED) !== 0
    if (wasOpen) this.openCount--
    if (this.recording) this.events.push(wasOpen ? 'closed' : `failed: ${ending.ENDING_NAMES[why]}`)
    this.doClosed(c, why)
  }

  transmit(c: number, seq: number, room: number): number {
    const mss = this.tcp.tcb[c + tcb.MSS]
    const whole = mss - (this.#offset(c, seq) % mss)
    const left = seqs.span(seq, this.tcp.tcb[c + tcb.SND_END])
    let len = whole < left ? whole : left
    if (len > room) return 0
    for (let count = 1; count < this.segmentsPerFrame && len < left; count++) {
      const longer = Math.min(len + mss, left)
      if (longer > room) break
      len = longer
    }
    return this.transmitExactly(c, seq, len)
  }

  transmitExactly(c: number, seq: number, len: number): number {
    const tcp = this.tcp
    const frame = tcp.frames.alloc()
    if (frame === NO_FRAME) {
      this.busyCount++
      return BUSY
    }
    const { view, bytes } = tcp.frames.region
    const payloadOff = tcp.frames.payloadOff(frame)
    const from = this.#offset(c, seq)
    for (let i = 0; i < len; i++) bytes[payloadOff + i] = patternByte(from + i)
    const sum = checksum.sum(view, payloadOff, len)
    tcp.headers.begin(c, seq)
    const off = tcp.headers.write(payloadOff, seq, len, sum)
    tcp.stats.outSegs++
    tcp.frames.sent(frame)
    tcp.device.push(off, tcp.headers.len + len, OFFLOAD_NONE)
    return len
  }

  #offset(c: number, seq: number): number {
    return (seq - this.#start[tcb.indexOf(c)]) >>> 0
  }
}
