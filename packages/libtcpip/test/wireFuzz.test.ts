/**
 * Random and mutated frames through every reader of the wire. Each frame ends where its memory
 * ends, so a read behind it throws; so does nothing else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ethernet, OK } from '@sandstorm/libeth'
import { DROP_NAMES } from '../src/drops.ts'
import * as checksum from '../src/wire/checksum.ts'
import { formatFrame } from '../src/wire/format.ts'
import * as icmp from '../src/wire/icmp.ts'
import * as ipv4 from '../src/wire/ipv4.ts'
import * as tcp from '../src/wire/tcp.ts'
import { TcpOptions } from '../src/wire/tcpOptions.ts'
import { random } from './random.ts'

const FRAMES = 250_000
const ETHER = '0200000000028e0102030405'
const IP_ADDRESSES = '0a4d00010a4d0002'
/** A SYN, an ACK behind an IP option, an echo request, an ARP request. */
const BASES: Buffer[] = [
  `${ETHER}08004500003c1c464000400609da${IP_ADDRESSES}9c4000500000000100000000a002faf09be00000020405b40402080a000000010000000001030307`,
  `${ETHER}08004600002c0001000040060000${IP_ADDRESSES}940400009c40005000000001000000055010010000000000`,
  `${ETHER}0800450000210001000040010000${IP_ADDRESSES}0800bc03123400016162636465`,
  `${ETHER}080600010800060400018e01020304050a4d00010000000000000a4d0002`,
].map(hex => Buffer.from(hex, 'hex'))

/** What the stack does with a frame, as far as the wire goes; returns the drop reason. */
function read(view: DataView, off: number, len: number, options: TcpOptions): number {
  const bad = ethernet.check(view, off, len)
  if (bad !== OK || ethernet.type(view, off) !== ethernet.TYPE_IPV4) return bad
  const ip = off + ethernet.HEADER_LEN
  const ipBad = ipv4.check(view, ip, len - ethernet.HEADER_LEN)
  if (ipBad !== OK) return ipBad
  const payload = ipv4.payloadOff(view, ip)
  const payloadLen = ipv4.totalLen(view, ip) - ipv4.headerLen(view, ip)
  if (ipv4.protocol(view, ip) === ipv4.PROTO_ICMP) return icmp.check(view, payload, payloadLen)
  const tcpBad = tcp.check(view, payload, payloadLen)
  if (tcpBad !== OK) return tcpBad
  options.parse(view, payload)
  assert.ok(options.windowScale >= -1 && options.windowScale <= 14)
  return OK
}

/** Makes the header checksum right, so that the checks behind it are reached too. */
function mendChecksum(view: DataView, off: number, len: number): void {
  const ip = off + ethernet.HEADER_LEN
  if (len < ethernet.HEADER_LEN + ipv4.HEADER_LEN) return
  const hdr = Math.min(ipv4.headerLen(view, ip), len - ethernet.HEADER_LEN)
  ipv4.setChecksum(view, ip, 0)
  ipv4.setChecksum(view, ip, checksum.finish(checksum.sum(view, ip, hdr)))
}

for (const seed of [11, 12, 13, 14]) {
  test(`${FRAMES} frames, seed ${seed}: a reason and a line for each`, () => {
    const next = random(seed)
    const bytes = new Uint8Array(2048)
    const view = new DataView(bytes.buffer)
    const options = new TcpOptions()
    const reasons = new Set<number>()
    for (let i = 0; i < FRAMES; i++) {
      const base = BASES[next() % BASES.length]
      const len = next() % 4 === 0 ? next() % (base.length + 8) : base.length
      const off = bytes.length - len
      bytes.set(base.subarray(0, len), off)
      const changes = next() % 32 === 0 ? len : next() % 4
      for (let k = 0; k < changes && len > 0; k++) bytes[off + (next() % len)] = next()
      if (next() % 8 !== 0) mendChecksum(view, off, len)
      reasons.add(read(view, off, len, options))
      const line = formatFrame(view, off, len, next() % 2 === 0 ? len : next() % 2000)
      assert.ok(line.length > 0 && !/\n|undefined|NaN/.test(line), line)
    }
    for (const reason of reasons) assert.ok(DROP_NAMES[reason], `${reason}`)
    assert.ok(reasons.size >= 17, `the mutations reach most of the checks: ${reasons.size}`)
    assert.ok(options.malformed > 0)
  })
}
