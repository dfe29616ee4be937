import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tcp from '../src/wire/tcp.ts'
import { pad, TcpOptions, writeMss, writeWindowScale } from '../src/wire/tcpOptions.ts'

const OFF = 6

/** Parses these option bytes, filled up with EOL, in a header that ends where the memory ends. */
function parse(bytes: number[], flags: number = tcp.SYN, into?: TcpOptions): TcpOptions {
  const len = 20 + ((bytes.length + 3) & ~3)
  const view = new DataView(new ArrayBuffer(OFF + len))
  tcp.setHeaderLen(view, OFF, len)
  tcp.setFlags(view, OFF, flags)
  for (let i = 0; i < bytes.length; i++) view.setUint8(OFF + 20 + i, bytes[i])
  const options = into ?? new TcpOptions()
  options.parse(view, OFF)
  return options
}

/** All fields of a parse that found nothing. */
const ABSENT = {
  mss: 0,
  windowScale: -1,
  sackPermitted: false,
  timestamps: false,
  tsVal: 0,
  tsEcr: 0,
  malformed: 0,
}
const expectParsed = (options: TcpOptions, fields: Partial<typeof ABSENT>): void =>
  assert.deepEqual({ ...options }, { ...ABSENT, ...fields })

const LINUX_SYN = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0x80, 0, 0, 1, 0, 0, 0, 9, 1, 3, 3, 7]
const TIMESTAMPS = [1, 1, 8, 10, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff]

test("Linux's SYN", () => {
  expectParsed(parse(LINUX_SYN), {
    mss: 1460,
    windowScale: 7,
    sackPermitted: true,
    timestamps: true,
    tsVal: -(2 ** 31) + 1,
    tsEcr: 9,
  })
})

test('no options at all', () => {
  expectParsed(parse([]), {})
})

test('each parse starts anew, but the count of malformed options stays', () => {
  const options = parse(LINUX_SYN)
  parse([2, 0], tcp.SYN, options)
  expectParsed(options, { malformed: 1 })
})

test('outside a SYN only timestamps count (RFC 7323 §2.2)', () => {
  expectParsed(parse([...LINUX_SYN.slice(0, 6), 3, 3, 7, 1, ...TIMESTAMPS], tcp.ACK), {
    timestamps: true,
    tsVal: 5,
    tsEcr: -1,
  })
  assert.equal(parse(LINUX_SYN, tcp.SYN | tcp.ACK).mss, 1460)
})

test('a window scale above 14 is used as 14 (RFC 7323 §2.3)', () => {
  for (const [sent, used] of [
    [0, 0],
    [14, 14],
    [15, 14],
    [255, 14],
  ]) {
    expectParsed(parse([3, 3, sent]), { windowScale: used })
  }
})

test('an unknown kind is skipped by its length', () => {
  expectParsed(parse([254, 6, 2, 4, 9, 9, 2, 4, 5, 0xb4]), { mss: 1460 })
})

test('EOL ends the options, whatever follows', () => {
  expectParsed(parse([0, 2, 4, 5, 0xb4]), {})
})

test('an impossible length ends the parse and is counted; what came before it holds', () => {
  for (const bad of [
    [9, 0],
    [9, 1],
    [9, 15],
    [9, 255],
    [8, 255],
  ]) {
    expectParsed(parse([2, 4, 5, 0xb4, ...bad, 3, 3, 7, 1]), { mss: 1460, malformed: 1 })
  }
})

test('a kind at the last byte has no length', () => {
  expectParsed(parse([1, 1, 1, 2]), { malformed: 1 })
})

test('a known kind of the wrong length is counted and skipped', () => {
  expectParsed(parse([2, 3, 5, 1, 3, 4, 7, 7, 4, 3, 0, 1, 8, 2, 3, 3, 9]), {
    malformed: 4,
    windowScale: 9,
  })
})

test('what is written is read again, and padding ends on a word', () => {
  const bytes = new Uint8Array(48).fill(0xa5)
  const view = new DataView(bytes.buffer)
  let at = writeMss(view, OFF + 20, 536)
  at = writeWindowScale(view, at, 9)
  assert.equal(at, OFF + 28)
  assert.deepEqual([...bytes.subarray(OFF + 20, at)], [2, 4, 2, 24, 1, 3, 3, 9])
  assert.equal(pad(view, OFF, at), at, 'whole words need no padding')
  assert.equal(bytes[at], 0xa5)
  const end = pad(view, OFF, at + 1)
  assert.equal(end, at + 4)
  assert.deepEqual([...bytes.subarray(at, end + 1)], [0xa5, 0, 0, 0, 0xa5])
  tcp.setHeaderLen(view, OFF, end - OFF)
  tcp.setFlags(view, OFF, tcp.SYN)
  view.setUint8(at, 1)
  const options = new TcpOptions()
  options.parse(view, OFF)
  expectParsed(options, { mss: 536, windowScale: 9 })
})
