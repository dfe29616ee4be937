/**
 * A bad network in virtual time: loss, duplicates, reordering and delay in both directions, between
 * the stack and a plain receiver. The whole stream always arrives, in order and equal, the peer's
 * windows are obeyed, and afterwards nothing is left (invariants 2 and 6).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { state, tcb } from '../src/index.ts'
import { expectEmpty, Host, PEER_PORT, send } from './kit/host.ts'
import { patternByte } from './kit/patternApp.ts'
import { Random } from './kit/random.ts'
import {
  ACK,
  FIN,
  mssOption,
  type RawSegment,
  RST,
  type SentFrame,
  SYN,
  wscaleOption,
} from './kit/segment.ts'

interface Network {
  loss: number
  dup: number
  reorder: number
  delayMs: number
}

interface Case extends Network {
  seed: number
  bytes: number
  mss: number
  /** The peer's buffer; read `readPerMs` bytes a millisecond. */
  buffer: number
  readPerMs: number
  wscale: number
  /** Who closes first. */
  weClose: boolean
}

/** A client as simple as it can be: it sends one request, receives, and acknowledges everything. */
class Client {
  readonly t: Host
  readonly random: Random
  readonly options: Case
  /** Packets under way: due time, and what happens then. */
  readonly wire: { at: number; go: () => void }[] = []
  phase: 'syn' | 'open' | 'done' = 'syn'
  /** Relative to the ISNs. */
  rcvNxt = 0
  read = 1
  finSent = false
  finAcked = false
  peerFin = false
  resendAt = 0
  /** Out-of-order bytes, by offset. */
  readonly early: Map<number, number> = new Map()
  rightEdge = 0

  constructor(t: Host, options: Case) {
    this.t = t
    this.options = options
    this.random = new Random(options.seed)
  }

  ship(go: () => void): void {
    const { loss, dup, reorder, delayMs } = this.options
    const copies = this.random.chance(loss) ? 0 : this.random.chance(dup) ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const extra = this.random.chance(reorder) ? this.random.below(3 * delayMs + 5) : 0
      this.wire.push({ at: this.t.nowUs / 1000 + delayMs + extra, go })
    }
  }

  window(): number {
    const { buffer } = this.options
    return Math.max(0, Math.min(buffer - (this.rcvNxt - this.read), buffer))
  }

  /** Sends what the client's state is now; the network decides whether it arrives. */
  tell(): void {
    const syn = this.phase === 'syn'
    const { mss, wscale } = this.options
    const shift = syn ? 0 : wscale
    const win = Math.min(65_535, this.window() >> shift)
    if (!syn) this.rightEdge = Math.max(this.rightEdge, this.rcvNxt + (win << shift))
    const script = syn
      ? { flags: SYN, seq: 0, win, options: [...mssOption(mss), ...wscaleOption(wscale)] }
      : this.finSent
        ? { flags: ACK | FIN, seq: 5, ack: this.rcvNxt, win }
        : { flags: ACK, seq: 1, ack: this.rcvNxt, win, data: 4 }
    this.ship(() => send(this.t, script))
  }

  /** A pure ACK: behind what we have sent. */
  acknowledge(): void {
    const win = Math.min(65_535, this.window() >> this.options.wscale)
    this.rightEdge = Math.max(this.rightEdge, this.rcvNxt + (win << this.options.wscale))
    const script = { flags: ACK, seq: this.finSent ? 6 : 5, ack: this.rcvNxt, win }
    this.ship(() => send(this.t, script))
  }

  hear(frame: SentFrame): void {
    const seg = frame.segment
    if (seg === undefined) return
    const from = (seg.seq - this.t.iss()) >>> 0
    if (seg.data.length > 0) {
      assert.ok(from + seg.data.length <= this.rightEdge, `beyond the window: ${frame.line}`)
    }
    this.ship(() => this.receive(seg))
  }

  receive(seg: RawSegment): void {
    if (seg.flags & RST) {
      assert.equal(this.phase, 'done', 'no RST while the connection lives')
      return
    }
    if (this.phase === 'syn') {
      if ((seg.flags & SYN) === 0) return
      this.phase = 'open'
      this.rcvNxt = 1
      this.tell()
      return
    }
    const from = (seg.seq - this.t.iss()) | 0
    const acked = (seg.ack - this.t.irs) | 0
    if (this.finSent && acked === 6) this.finAcked = true
    for (let i = 0; i < seg.data.length; i++) {
      if (from + i >= this.rcvNxt && from + i < this.rcvNxt + this.options.buffer) {
        this.early.set(from + i, seg.data[i])
      }
    }
    while (this.early.has(this.rcvNxt)) {
      assert.equal(this.early.get(this.rcvNxt), patternByte(this.rcvNxt - 1))
      this.early.delete(this.rcvNxt++)
    }
    const finAt = from + seg.data.length
    if (seg.flags & FIN && finAt === this.rcvNxt && !this.peerFin) {
      this.peerFin = true
      this.rcvNxt++
    }
    if (seg.data.length > 0 || seg.flags & (FIN | SYN)) this.acknowledge()
  }

  /** One millisecond: what is due arrives; what was not answered is said again. */
  tick(): void {
    const now = this.t.nowUs / 1000
    // In order of arrival; equal times in order of sending.
    const due = this.wire.filter(packet => packet.at <= now).sort((a, b) => a.at - b.at)
    if (due.length > 0) {
      const rest = this.wire.filter(packet => packet.at > now)
      this.wire.length = 0
      this.wire.push(...rest)
      for (const packet of due) packet.go()
    }
    const shut = this.window() < this.options.mss
    this.read = Math.min(this.rcvNxt, this.read + this.options.readPerMs)
    if (shut && this.window() >= this.options.mss && this.phase === 'open') this.acknowledge()
    const complete = this.rcvNxt > this.options.bytes
    if (complete && !this.finSent && (this.peerFin || !this.options.weClose)) {
      this.finSent = true
      this.resendAt = 0
    }
    if (this.finAcked && this.peerFin) this.phase = 'done'
    else if (now >= this.resendAt && (this.phase === 'syn' || this.rcvNxt === 1 || this.finSent)) {
      this.resendAt = now + 500
      this.tell()
    }
  }
}

function run(options: Case): Host {
  const t = new Host({ seed: options.seed, irs: options.seed * 77_777_777 })
  t.app.recording = false
  t.app.doData = (c, len) => {
    t.tcp.commit(c, options.bytes)
    if (options.weClose) t.tcp.close(c)
    return len
  }
  t.app.doFin = c => t.tcp.close(c)
  const client = new Client(t, options)
  let ms = 0
  for (; client.phase !== 'done' || t.conn(PEER_PORT) >= 0; ms++) {
    assert.ok(ms < 3_000_000, `${state.STATE_NAMES[t.field(tcb.STATE)]}, ${client.rcvNxt} received`)
    t.nowUs += 1000
    t.poll()
    client.tick()
    for (const frame of t.take()) client.hear(frame)
  }
  assert.ok(client.rcvNxt >= options.bytes + 2, 'every byte and the FIN have arrived')
  for (let i = 0; i < 700; i++) {
    t.nowUs += 100_000
    t.poll()
  }
  expectEmpty(t)
  assert.equal(t.tcp.timeWait.count, 0)
  return t
}

const GOOD: Network = { loss: 0, dup: 0, reorder: 0, delayMs: 10 }
const BASE: Case = {
  ...GOOD,
  seed: 1,
  bytes: 200_000,
  mss: 1460,
  buffer: 65_535,
  readPerMs: 1_000_000,
  wscale: 0,
  weClose: true,
}

test('a good network: not one segment is repeated', () => {
  const t = run(BASE)
  assert.equal(t.tcp.stats.retransSegs, 0)
  assert.equal(t.tcp.stats.timeouts, 0)
})

test('duplicates alone cause no time-out', () => {
  const t = run({ ...BASE, dup: 0.1 })
  assert.equal(t.tcp.stats.timeouts, 0)
})

for (const [name, network] of [
  ['1 % loss', { ...GOOD, loss: 0.01 }],
  ['5 % loss', { ...GOOD, loss: 0.05 }],
  ['20 % loss', { ...GOOD, loss: 0.2 }],
  ['10 % reordered', { ...GOOD, reorder: 0.1 }],
  ['10 % duplicated', { ...GOOD, dup: 0.1 }],
  ['a bit of everything', { loss: 0.02, dup: 0.02, reorder: 0.05, delayMs: 30 }],
  ['no delay, 5 % loss', { ...GOOD, loss: 0.05, delayMs: 0 }],
] as [string, Network][]) {
  for (const [what, change] of [
    ['a large window', {}],
    ['window scaling', { wscale: 7, buffer: 500_000 }],
    ['a window of 4000, read slowly', { buffer: 4000, readPerMs: 50, bytes: 60_000 }],
    ['MSS 536, the peer closes', { mss: 536, weClose: false }],
  ] as [string, Partial<Case>][]) {
    test(`${name}, ${what}: the stream arrives whole`, () => {
      for (let seed = 1; seed <= 4; seed++) run({ ...BASE, ...network, ...change, seed })
    })
  }
}
