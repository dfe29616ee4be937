/**
 * Random and mutated frames through everything IPv6. Each frame ends where its memory ends, so a
 * read behind it throws; so does nothing else. No frame is lost, and nothing grows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ethernet } from '@sandstorm/libeth'
import { DROP_NAMES, formatFrame, ipv6Input } from '../src/index.ts'
import { Bench6, OUR_LINK_LOCAL, OUR_MAC, PEER_MAC } from './kit/bench6.ts'
import {
  address,
  checksum6,
  frame6,
  message6,
  OURS,
  optionsHeader,
  PEER,
  packet6,
} from './kit/packet6.ts'
import { random } from './random.ts'

const FRAMES = 100_000

const target = (text: string, option: string): Buffer =>
  Buffer.concat([address(text), Buffer.from(option, 'hex')])
const quote = packet6({ src: OURS, dst: PEER, protocol: 6, payload: Buffer.alloc(20) })
const all: [number, Buffer][] = [
  [0, optionsHeader(5, 2, 0, 0)],
  [43, Buffer.alloc(8)],
  [44, Buffer.alloc(8)],
  [60, optionsHeader(0x1e, 3, 0, 0, 0)],
]
const BASES: Buffer[] = [
  packet6({ protocol: 6, payload: Buffer.alloc(20) }),
  packet6({ protocol: 6, extensions: all, payload: Buffer.alloc(20) }),
  packet6({ protocol: 17, payload: Buffer.alloc(8) }),
  packet6({ payload: message6(128, 0, 1, Buffer.from('abcde')) }),
  packet6({ dst: 'ff02::1', extensions: all, payload: message6(128, 0, 1, Buffer.alloc(9)) }),
  packet6({ payload: message6(1, 4, 0, quote) }),
  packet6({ payload: message6(2, 0, 1300, quote) }),
  packet6({
    src: 'fe80::1',
    dst: 'ff02::1',
    hopLimit: 1,
    payload: message6(130, 0, 0, Buffer.alloc(20)),
  }),
  ...['010102000000000a', ''].map(option =>
    packet6({
      dst: 'ff02::1:ff00:2',
      hopLimit: 255,
      payload: message6(135, 0, 0, target(OURS, option)),
    }),
  ),
  packet6({
    src: '::',
    dst: 'ff02::1:ff00:2',
    hopLimit: 255,
    payload: message6(135, 0, 0, address(OURS)),
  }),
  packet6({
    hopLimit: 255,
    payload: message6(136, 0, 0x60 << 24, target(PEER, '020102000000000a')),
  }),
  packet6({ src: 'fe80::1', hopLimit: 255, payload: message6(134, 0, 0, Buffer.alloc(8)) }),
  packet6({ src: 'fe80::1', hopLimit: 255, payload: message6(137, 0, 0, Buffer.alloc(32)) }),
].map(packet => frame6(OUR_MAC, PEER_MAC, packet))

/** Makes an ICMPv6 checksum right, where the message follows at once, so that more is reached. */
function mend(frame: Buffer): void {
  if (frame.length < 58 || frame[20] !== 58) return
  const end = 54 + frame.readUInt16BE(18)
  if (end > frame.length || end < 58) return
  frame.writeUInt16BE(0, 56)
  const sum = checksum6(frame.subarray(22, 38), frame.subarray(38, 54), 58, frame.subarray(54, end))
  frame.writeUInt16BE(~sum & 0xffff, 56)
}

for (const seed of [31, 32, 33]) {
  test(`${FRAMES} frames, seed ${seed}: a reason and a line for each, no frame lost`, () => {
    const next = random(seed)
    const t = new Bench6({ addresses: [OURS, OUR_LINK_LOCAL], capacity: 16 })
    const free = t.frames.freeCount
    const { view, bytes } = t.region
    const reasons = new Set<string>()
    for (let i = 0; i < FRAMES; i++) {
      t.now += next() % 16
      const base = BASES[next() % BASES.length]
      const len = next() % 8 === 0 ? 14 + (next() % (base.length - 13)) : base.length
      const frame = Buffer.from(base.subarray(0, len))
      const changes = next() % 32 === 0 ? len : next() % 4
      for (let k = 0; k < changes; k++) frame[14 + (next() % Math.max(1, len - 14))] = next()
      if (next() % 8 !== 0) mend(frame)
      const off = bytes.length - len
      bytes.set(frame, off)
      const line = formatFrame(view, off, len, next() % 2 === 0 ? len : 14 + (next() % 2000))
      assert.ok(line.length > 0 && !/\n|undefined|NaN/.test(line), line)
      if (ethernet.check(view, off, len) !== 0) continue
      reasons.add(DROP_NAMES[ipv6Input(t, off, len, 0, t.now)])
      if (next() % 8 === 0) t.ndp.lookup(0xfd770000 | 0, 0, 0, next() % 64, t.now)
      if (next() % 8 === 0) assert.ok(t.ndp.tick(t.now) !== 0)
      if (next() % 16 === 0) t.take()
    }
    t.take()
    t.take()
    assert.equal(t.frames.freeCount, free)
    assert.ok(!reasons.has(''))
    assert.ok(reasons.size >= 28, `the mutations reach most of the checks: ${[...reasons]}`)
  })
}
