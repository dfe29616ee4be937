/** A connection's headers over IPv6, against frames written byte by byte (RFC 8200 §3, §8.1). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  headersLen,
  ipv4Address,
  ipv6,
  ipv6Address,
  SUM_BY_DEVICE,
  tcb,
  tcp as wire,
} from '../src/index.ts'
import { initPath } from '../src/tcp/path/neighbour.ts'
import { sendBare } from '../src/tcp/stray/bare.ts'
import { established, Host } from './kit/host.ts'
import { random } from './random.ts'
import { sum } from './reference/checksum.ts'

const OURS = 'fd77::2'
const LOCAL = 0
const ADDRESSES = [ipv6Address(OURS, 64), ipv4Address('10.0.0.2', 24)]

interface Fields {
  remote: string
  ports: number
  timestamps: boolean
  seq: number
  ack: number
  flags: number
  window: number
  payload: Uint8Array
}

const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * (bytes - 1 - i))) & 255)
const words = (text: string): number[] => [...ipv6.parse(text)].flatMap(word => be(word, 4))
const sumOf = (bytes: number[]): number =>
  sum(new DataView(Uint8Array.from(bytes).buffer), 0, bytes.length)

/** The whole frame, TSval and TSecr as given. */
function expected(t: Host, f: Fields, tsVal: number, tsEcr: number): number[] {
  const options = f.timestamps ? [1, 1, 8, 10, ...be(tsVal, 4), ...be(tsEcr, 4)] : []
  const header = [
    ...[...be(f.ports & 0xffff, 2), ...be(f.ports >>> 16, 2), ...be(f.seq, 4), ...be(f.ack, 4)],
    ...[((20 + options.length) / 4) << 4, f.flags, ...be(f.window, 2), 0, 0, 0, 0],
  ]
  const segment = [...header, ...options, ...f.payload]
  const addresses = [...words(OURS), ...words(f.remote)]
  const pseudo = [...addresses, ...be(segment.length, 4), 0, 0, 0, 6]
  const checksum = ~sumOf([...pseudo, ...segment]) & 0xffff
  segment.splice(16, 2, ...be(checksum, 2))
  const ip = [0x60, 0, 0, 0, ...be(segment.length, 2), 6, 64, ...addresses]
  const macs = [...be(t.link.srcHi, 2), ...be(t.link.srcLo, 4), ...t.device.mac]
  return [...macs, 0x86, 0xdd, ...ip, ...segment]
}

/** Makes `c` the connection of these fields, without its having been opened. */
function setFields(t: Host, c: number, f: Fields): void {
  const { tcb: fields } = t.tcp
  const kind = tcb.KIND_IPV6 | (f.timestamps ? tcb.KIND_TIMESTAMPS : 0)
  const remote = ipv6.parse(f.remote)
  const neighbour = fields[c + tcb.PATH] >> 16
  for (let i = 0; i < 4; i++) fields[c + tcb.REMOTE + i] = remote[i]
  fields[c + tcb.PORTS] = f.ports
  fields[c + tcb.FRAME_KEY] = tcb.frameKey(LOCAL, kind, f.ports)
  fields[c + tcb.RCV_NXT] = f.ack
  fields[c + tcb.RCV_ADV] = (f.ack + f.window) | 0
  fields[c + tcb.RCV_SPACE] = f.window
  fields[c + tcb.TS_RECENT] = f.seq ^ f.ack
  fields[c + tcb.TS_OFFSET] = f.seq + f.ports
  initPath(t.tcp, c)
  fields[c + tcb.PATH] = (neighbour << 16) | (fields[c + tcb.PATH] & 0xffff)
}

function randomFields(next: () => number): Fields {
  const group = (): string => [0, 0, 1, 0xffff, next() & 0xffff][next() % 5].toString(16)
  return {
    remote: Array.from({ length: 8 }, group).join(':'),
    ports: next() | 0x00010001,
    timestamps: next() % 2 === 0,
    seq: next() | 0,
    ack: next() | 0,
    flags: wire.ACK | (next() & wire.PSH),
    window: next() & 0xffff,
    payload: Uint8Array.from({ length: next() % 50 }, () => next() & 255),
  }
}

test('headers of an IPv6 connection are those written by hand, written or patched', () => {
  const t = new Host({ ipVersion: 6, addresses: ADDRESSES })
  const c = established(t)
  const { frames, headers, tcb: fields } = t.tcp
  const { view, bytes } = t.region
  const payloadOff = frames.payloadOff(frames.alloc())
  const next = random(6)
  for (let i = 0; i < 2000; i++) {
    const f = randomFields(next)
    setFields(t, c, f)
    const tsVal = (t.tcp.nowMs + fields[c + tcb.TS_OFFSET]) | 0
    const frame = expected(t, f, tsVal, fields[c + tcb.TS_RECENT])
    const len = headersLen(fields, c)
    assert.equal(len, frame.length - f.payload.length)
    bytes.fill(0xa5, payloadOff - 144, payloadOff)
    bytes.set(f.payload, payloadOff)
    const payloadSum = sum(view, payloadOff, f.payload.length)
    // Patched: the frame was written for the same key and length, everything else another.
    const before = { ...f, seq: ~f.seq, ack: ~f.ack, flags: 0xff, remote: '2600::1' }
    setFields(t, c, { ...before, ports: f.ports ^ 0x7fff0000 })
    const writeOnly = i % 2 === 0
    if (!writeOnly) {
      headers.begin(c, 1)
      headers.writeControl(payloadOff, 1, f.payload.length, 0xff, 0)
    }
    setFields(t, c, f)
    // PSH is for the segment that ends where all data ends.
    const end = f.seq + f.payload.length
    fields[c + tcb.SND_END] = f.flags & wire.PSH ? end : end + 1
    headers.begin(c, f.seq)
    const off = writeOnly
      ? headers.write(payloadOff, f.seq, f.payload.length, payloadSum)
      : headers.patch(payloadOff, f.seq, f.payload.length, payloadSum)
    assert.equal(off, payloadOff - len)
    assert.deepEqual([...bytes.subarray(off, payloadOff + f.payload.length)], frame)
  }
})

test('a checksum that the device completes is the pseudo-header’s sum', () => {
  const t = new Host({ ipVersion: 6, addresses: ADDRESSES })
  const c = established(t)
  const payloadOff = t.tcp.frames.payloadOff(t.tcp.frames.alloc())
  const f = { ...randomFields(random(9)), timestamps: true }
  setFields(t, c, f)
  t.tcp.headers.begin(c, 1)
  const off = t.tcp.headers.write(payloadOff, 1, 1000, SUM_BY_DEVICE)
  const pseudo = [...words(OURS), ...words(f.remote), ...be(1032, 4), 0, 0, 0, 6]
  assert.equal(wire.checksum(t.region.view, off + 54), sumOf(pseudo))
})

test('an RST over IPv6 is the one written by hand, from the address that was spoken to', () => {
  const t = new Host({ ipVersion: 6, addresses: ADDRESSES })
  const next = random(7)
  for (let i = 0; i < 100; i++) {
    const f = { ...randomFields(next), timestamps: false, payload: new Uint8Array(0) }
    const [remote0, remote1, remote2, remote3] = ipv6.parse(f.remote)
    const kind = tcb.KIND_IPV6
    const who = { remote0, remote1, remote2, remote3, kind, local: LOCAL, ports: f.ports }
    Object.assign(t.tcp.segment, who)
    const frame = Buffer.from(expected(t, f, 0, 0)).toString('hex')
    const sent: string[] = []
    t.device.push = (off, len) => {
      sent.push(Buffer.from(t.region.bytes.slice(off, off + len)).toString('hex'))
      t.tcp.frames.complete(off)
    }
    // Whoever it is goes to the peer's hardware address.
    t.tcp.ndp.lookup = () => 0
    t.tcp.ndp.macHi[0] = t.link.srcHi
    t.tcp.ndp.macLo[0] = t.link.srcLo
    t.tcp.addresses.isOnLink6 = () => true
    sendBare(t.tcp, f.seq, f.ack, f.flags, f.window)
    assert.deepEqual(sent, [frame])
  }
})
