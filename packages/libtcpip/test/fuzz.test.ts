/**
 * Invariants 5, 6 and 7 under fire: random and mutated frames on live connections. Nothing throws,
 * memory is bounded, all of it comes back, and the same input gives the same output. The seed is in
 * the test's name; every frame the stack sends is checked (kit/host.ts).
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ethernet } from '@sandstorm/libeth'
import { abort, ipv4, state, tcb } from '../src/index.ts'
import { advance, expectEmpty, Host, OUR_ADDR, PEER_ADDR, send } from './kit/host.ts'
import { Random } from './kit/random.ts'
import {
  mssOption,
  SYN,
  sackOption,
  setIpChecksum,
  setTcpChecksum,
  timestampsOption,
  wscaleOption,
} from './kit/segment.ts'

const TCP = ethernet.HEADER_LEN + ipv4.HEADER_LEN
const PORTS = 24
/** Flags of ordinary traffic, and of none. */
const FLAGS = [
  0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x02, 0x02, 0x04, 0x14, 0x12, 0x01, 0, 0xff,
]

interface Fire {
  seed: number
  frames: number
  /** Called for each frame that the stack sends. */
  onSent?: (bytes: Uint8Array) => void
}

/** A host whose application does something different each time. */
function target(random: Random): Host {
  const t = new Host({
    seed: random.int32(),
    irs: random.int32(),
    ringSize: 64,
    frames: 96,
    tcp: { maxConnections: 16, backlog: 12, timeWaitEntries: 16, delayedAckMs: 40 },
  })
  const { app, tcp } = t
  app.recording = false
  const may = (c: number): boolean =>
    state.canSend(tcp.tcb[c + tcb.STATE]) && (tcp.tcb[c + tcb.FLAGS] & tcb.FIN_QUEUED) === 0
  const act = (c: number): void => {
    const dice = random.below(20)
    if (dice < 8 && may(c)) tcp.commit(c, 1 + random.below(20_000))
    else if (dice < 10) tcp.close(c)
    else if (dice < 11) abort(tcp, c)
    else if (dice < 13) tcp.setReceiveSpace(c, random.below(65_536))
    else if (dice < 15) tcp.setAppTimer(c, random.below(5000))
    else if (dice < 16) tcp.setKeepAlive(c, random.chance(0.5))
    else if (dice < 17) tcp.setUserTimeout(c, random.below(100_000))
  }
  app.doOpen = act
  app.doAcked = act
  app.doTimeout = act
  app.doFin = c => tcp.close(c)
  app.doData = (c, len) => {
    act(c)
    return random.chance(0.9) ? len : random.below(len + 1)
  }
  return t
}

/** Sequence and acknowledgement numbers near what the connection expects, or anywhere. */
function aim(t: Host, random: Random, port: number): [number, number] {
  const c = t.conn(port)
  if (c < 0 || random.chance(0.05)) return [random.int32(), random.int32()]
  const near = random.chance(0.6) ? 0 : random.pick([-1, 1, 2, -1460, 1460, 65_535, -65_536])
  const tcbs = t.tcp.tcb
  const una = tcbs[c + tcb.SND_UNA]
  // A SYN-ACK that is still on its way cannot be acknowledged: the kit learns our ISN from it.
  const unseen = tcbs[c + tcb.STATE] === state.SYN_RCVD && t.iss(port) !== una
  if (unseen) return [random.int32(), random.int32()]
  const out = Math.max(0, (tcbs[c + tcb.SND_NXT] - una) | 0)
  const ack = random.chance(0.8) ? una + random.below(out + 1) : una + random.below(2 * out + 9) - 4
  return [(tcbs[c + tcb.RCV_NXT] + near - t.irs) | 0, (ack - t.iss(port)) | 0]
}

/** A SYN may offer anything; later there is what was agreed on, or nonsense. */
function options(t: Host, random: Random, flags: number): { options?: readonly number[] } {
  if (random.chance(0.1)) {
    return {
      options: random.pick([
        mssOption(random.below(65_536)),
        wscaleOption(random.below(256)),
        timestampsOption(random.int32(), random.int32()),
        [200, 0],
        [5, 40],
        [],
      ]),
    }
  }
  if (flags !== SYN) return {}
  const timestamps = random.chance(0.5) ? timestampsOption(t.peerMs, 0) : []
  return { options: random.chance(0.5) ? [...timestamps, ...sackOption] : timestamps }
}

function fire({ seed, frames, onSent }: Fire): Host {
  const random = new Random(seed)
  const t = target(random)
  for (let i = 0; i < frames; i++) {
    // A tick of the clock of ISNs: one that is used again would make `aim` take an old one for
    // seen.
    t.nowUs += 4
    const port = 1 + random.below(PORTS)
    const [seq, ack] = aim(t, random, port)
    const flags = random.pick(FLAGS)
    send(t, {
      flags,
      seq,
      ack,
      port,
      ...options(t, random, flags),
      win: random.pick([65_535, 65_535, 5000, 1, 0, random.below(65_536)]),
      data: random.chance(0.5) ? 0 : random.below(700),
      poll: random.chance(0.3) || t.wire.txSpace() < 3,
      spoil: random.chance(0.25) ? (view, off) => mutate(view, off, random) : () => {},
    })
    for (const frame of t.take()) onSent?.(frame.bytes)
    t.nowUs += 8 // no two handshakes have the same ISN
    if (random.chance(0.02)) t.nowUs += random.below(random.chance(0.05) ? 70_000_000 : 300_000)
    if (random.chance(0.01)) t.draining = !t.draining
    if (i % 512 === 0) assertBounded(t)
  }
  t.draining = true
  t.drain()
  t.poll()
  return t
}

function assertBounded(t: Host): void {
  const { pool, table, timeWait, timers, halfOpen } = t.tcp
  assert.ok(pool.usedCount <= 16 && table.count <= pool.usedCount)
  assert.ok(timeWait.count <= 16 && timers.count <= table.count)
  assert.ok(halfOpen >= 0 && halfOpen <= 12)
  assert.ok(t.tcp.reassembly.usedCount <= 12)
}

/** Changes some bytes; usually the checksums are made to fit again, so that the change gets far. */
function mutate(view: DataView, off: number, random: Random): void {
  const count = 1 + random.below(3)
  const first = random.chance(0.2) ? 0 : TCP
  for (let i = 0; i < count; i++)
    view.setUint8(off + first + random.below(24), random.int32() & 255)
  if (random.chance(0.2)) return
  const ip = off + ethernet.HEADER_LEN
  const sane =
    ipv4.headerLen(view, ip) === ipv4.HEADER_LEN &&
    ipv4.totalLen(view, ip) >= 40 &&
    ipv4.totalLen(view, ip) <= 1500
  if (!sane) return
  setIpChecksum(view, off)
  setTcpChecksum(view, off)
}

/** The application loses patience with who is still there; all time-outs pass. */
function drained(t: Host): void {
  t.app.doTimeout = c => abort(t.tcp, c)
  for (let c = 0; c < t.tcp.tcb.length; c += tcb.TCB_STRIDE) {
    if (t.tcp.tcb[c + tcb.STATE] !== state.CLOSED) t.tcp.setAppTimer(c, 100_000)
  }
  advance(t, 3_000_000)
  t.take()
  expectEmpty(t)
  assert.equal(t.tcp.timeWait.count, 0)
}

for (const seed of [1, 0xbeef, Number(process.env['FUZZ_SEED'] ?? 20_131_121)]) {
  test(`250,000 frames of seed ${seed}: nothing throws, memory is bounded, and all comes back`, () => {
    const t = fire({ seed, frames: 250_000 })
    assert.ok(t.tcp.stats.passiveOpens > 500, `${t.tcp.stats.passiveOpens} opened`)
    assert.ok(t.tcp.stats.outSegs > 10_000)
    drained(t)
  })
}

test('250,000 frames of random bytes with our addresses: nothing throws, nothing is left', () => {
  const random = new Random(77)
  const t = target(random)
  const kinds = [ethernet.TYPE_IPV4, ethernet.TYPE_IPV4, ethernet.TYPE_ARP, ethernet.TYPE_IPV6]
  for (let i = 0; i < 250_000; i++) {
    t.inject(
      (view, off) => {
        const len = 14 + random.below(120)
        for (let at = 0; at < len; at++) view.setUint8(off + at, random.int32() & 255)
        if (random.chance(0.95)) {
          ethernet.setDst(view, off, t.link.dstHi, t.link.dstLo)
          ethernet.setSrc(view, off, t.link.srcHi, t.link.srcLo)
          ethernet.setType(view, off, random.pick(kinds))
        }
        const ip = off + ethernet.HEADER_LEN
        if (len >= 54 && random.chance(0.9)) {
          ipv4.setHeaderLen(view, ip, random.pick([20, 20, 20, 24, 60]))
          ipv4.setTotalLen(view, ip, len - ethernet.HEADER_LEN)
          ipv4.setFragment(view, ip, 0)
          ipv4.setProtocol(view, ip, random.pick([1, 6, 6, 6]))
          ipv4.setSrc(view, ip, PEER_ADDR)
          ipv4.setDst(view, ip, OUR_ADDR)
          if (ipv4.headerLen(view, ip) <= len - ethernet.HEADER_LEN) setIpChecksum(view, off)
          const fits = ipv4.headerLen(view, ip) + 20 <= len - ethernet.HEADER_LEN
          if (ipv4.protocol(view, ip) === ipv4.PROTO_TCP && fits) setTcpChecksum(view, off)
        }
        return len
      },
      random.chance(0.2) || t.wire.txSpace() < 3,
    )
    t.take()
  }
  t.poll()
  drained(t)
})

test('the same frames, clock and seed give the same bytes (invariant 7)', () => {
  const digest = (seed: number): string => {
    const hash = createHash('sha256')
    fire({ seed, frames: 20_000, onSent: bytes => hash.update(bytes) })
    return hash.digest('hex')
  }
  assert.equal(digest(5), digest(5))
  assert.notEqual(digest(5), digest(6))
})
