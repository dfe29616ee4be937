/**
 * The application on our stack: a stream of pattern bytes per connection, framed when TCP asks, and
 * a receive buffer of 65535 bytes that is read at once or not at all. Small on purpose: conformance
 * cases are about the stack below.
 */
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import {
  type Application,
  abort,
  BUSY,
  checksum,
  seq as seqs,
  type Tcp,
  tcb,
} from '@sandstorm/libtcpip'
import { type AppConnection, patternByte } from './target.ts'

class OurConnection implements AppConnection {
  readonly events: string[] = []
  readonly #app: OurApp
  readonly #start: number
  #received: number[] = []
  #unread: number[] = []
  #paused = false
  #isOpen = true
  readonly c: number

  constructor(app: OurApp, c: number) {
    this.#app = app
    this.c = c
    this.#start = app.tcp.tcb[c + tcb.SND_UNA]
  }

  get received(): Uint8Array {
    return Uint8Array.from(this.#received)
  }

  write(bytes: number): void {
    this.#act(tcp => tcp.commit(this.c, bytes))
  }

  close(): void {
    this.#act(tcp => tcp.close(this.c))
  }

  abort(): void {
    this.#act(tcp => abort(tcp, this.c))
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#received = this.#received.concat(this.#unread)
    this.#unread = []
    this.#act(tcp => tcp.setReceiveSpace(this.c, this.#app.receiveBuffer))
  }

  onData(off: number, len: number): number {
    const { tcp, receiveBuffer } = this.#app
    const into = this.#paused ? this.#unread : this.#received
    const room = this.#paused ? receiveBuffer - this.#unread.length : len
    const taken = len < room ? len : room
    for (let i = 0; i < taken; i++) into.push(tcp.frames.region.bytes[off + i])
    if (this.#paused) tcp.setReceiveSpace(this.c, receiveBuffer - this.#unread.length)
    return taken
  }

  onClosed(): void {
    this.#isOpen = false
    this.events.push('closed')
  }

  offset(seq: number): number {
    return (seq - this.#start) >>> 0
  }

  /** Something from outside a callback: afterwards the stack sends what is to be sent. */
  #act(action: (tcp: Tcp) => void): void {
    if (!this.#isOpen) return
    action(this.#app.tcp)
    if (this.#isOpen) this.#app.tcp.addWork(this.c, tcb.NEED_OUTPUT)
    this.#app.run()
  }
}

export class OurApp implements Application {
  tcp!: Tcp
  readonly receiveBuffer: number
  /** Lets the stack do what an application's call made due. */
  run: () => void = () => {}
  /** Connections by the peer's port: the latest of each. */
  readonly byPort: Map<number, OurConnection> = new Map()
  readonly #byIndex: (OurConnection | undefined)[] = []

  constructor(receiveBuffer: number) {
    this.receiveBuffer = receiveBuffer
  }

  #of(c: number): OurConnection {
    return this.#byIndex[tcb.indexOf(c)]!
  }

  segmentBytes(mss: number): number {
    return mss
  }

  onOpen(c: number): void {
    const connection = new OurConnection(this, c)
    this.#byIndex[tcb.indexOf(c)] = connection
    this.byPort.set(this.tcp.tcb[c + tcb.PORTS] >>> 16, connection)
  }

  onData(c: number, off: number, len: number): number {
    return this.#of(c).onData(off, len)
  }

  onFin(c: number): void {
    this.#of(c).events.push('fin')
  }

  onAcked(): void {}

  onTimeout(): void {}

  onClosed(c: number): void {
    this.#of(c).onClosed()
  }

  transmit(c: number, seq: number, room: number): number {
    const mss = this.tcp.tcb[c + tcb.MSS]
    const whole = mss - (this.#of(c).offset(seq) % mss)
    const left = seqs.span(seq, this.tcp.tcb[c + tcb.SND_END])
    const len = whole < left ? whole : left
    return len > room ? 0 : this.transmitExactly(c, seq, len)
  }

  transmitExactly(c: number, seq: number, len: number): number {
    const tcp = this.tcp
    const frame = tcp.frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const { view, bytes } = tcp.frames.region
    const payloadOff = tcp.frames.payloadOff(frame)
    const from = this.#of(c).offset(seq)
    for (let i = 0; i < len; i++) bytes[payloadOff + i] = patternByte(from + i)
    const sum = checksum.sum(view, payloadOff, len)
    tcp.headers.begin(c, seq)
    const off = tcp.headers.write(payloadOff, seq, len, sum)
    tcp.stats.outSegs++
    tcp.frames.sent(frame)
    tcp.device.push(off, tcp.headers.len + len, OFFLOAD_NONE)
    return len
  }
}
