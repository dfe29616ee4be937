import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tcp from '../src/wire/tcp.ts'
import {
  hasTimestampsAlone,
  pad,
  setTimestamps,
  TcpOptions,
  tsValAlone,
  writeMss,
  writeSackPermitted,
  writeSackPermittedAndTimestamps,
  writeTimestamps,
  writeWindowScale,
} from '../src/wire/tcpOptions.ts'

const OFF = 6

/** A header with these option bytes, filled up with EOL, that ends where the memory ends. */
function header(bytes: number[], flags: number): DataView {
  const len = 20 + ((bytes.length + 3) & ~3)
  const view = new DataView(new ArrayBuffer(OFF + len))
  tcp.setHeaderLen(view, OFF, len)
  tcp.setFlags(view, OFF, flags)
  for (let i = 0; i < bytes.length; i++) view.setUint8(OFF + 20 + i, bytes[i])
  return view
}

function parse(bytes: number[], flags: number = tcp.SYN, into?: TcpOptions): TcpOptions {
  const options = into ?? new TcpOptions()
  options.parse(header(bytes, flags), OFF)
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
  sack: [] as [number, number][],
  malformed: 0,
}
function expectParsed(options: TcpOptions, expected: Partial<typeof ABSENT>): void {
  const { sackCount, sackStart, sackEnd, ...fields } = options
  const blocks = Array.from({ length: sackCount }, (_, i) => [sackStart[i], sackEnd[i]])
  assert.deepEqual({ ...fields, sack: blocks }, { ...ABSENT, ...expected })
}

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

/** Two edges a block, as RFC 2018 §3 draws them. */
const SACK_EDGES = [
  [0, 0, 0, 1, 0, 0, 0, 2],
  [0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
  [0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x79],
]
const SACK_BLOCKS: [number, number][] = [
  [1, 2],
  [2 ** 31 - 1, -(2 ** 31)],
  [-1, 0],
  [0x12345678, 0x12345679],
]

test('SACK: none to four blocks, in the order of the option (RFC 2018 §3)', () => {
  for (let count = 0; count <= 4; count++) {
    const bytes = [1, 1, 5, 2 + 8 * count, ...SACK_EDGES.slice(0, count).flat()]
    expectParsed(parse(bytes, tcp.ACK), { sack: SACK_BLOCKS.slice(0, count) })
  }
})

test('SACK beside timestamps: what fits are three blocks', () => {
  const bytes = [...TIMESTAMPS, 1, 1, 5, 26, ...SACK_EDGES.slice(0, 3).flat()]
  expectParsed(parse(bytes, tcp.ACK), {
    timestamps: true,
    tsVal: 5,
    tsEcr: -1,
    sack: SACK_BLOCKS.slice(0, 3),
  })
})

test('a SACK option of no whole number of blocks, or too long for the header, has none', () => {
  for (const len of [3, 9, 11, 17, 33]) {
    const bytes = [5, len, ...SACK_EDGES.flat()].slice(0, len)
    expectParsed(parse(bytes, tcp.ACK), { malformed: 1 })
  }
  expectParsed(parse([1, 1, 5, 18, ...SACK_EDGES[0]], tcp.ACK), { malformed: 1 })
})

test('blocks of an earlier segment are gone in the next', () => {
  const options = parse([5, 10, ...SACK_EDGES[0]], tcp.ACK)
  assert.equal(options.sackCount, 1)
  parse([], tcp.ACK, options)
  expectParsed(options, {})
  parse([5, 10, ...SACK_EDGES[0]], tcp.ACK, options)
  parse(TIMESTAMPS, tcp.ACK, options)
  expectParsed(options, { timestamps: true, tsVal: 5, tsEcr: -1 })
})

test('timestamps alone are the same in any order of the NOPs, and known at a glance in the usual one', () => {
  const [nops, option] = [TIMESTAMPS.slice(0, 2), TIMESTAMPS.slice(2)]
  for (const bytes of [TIMESTAMPS, [...option, ...nops], [1, ...option, 1], [...option, 0, 0]]) {
    const view = header(bytes, tcp.ACK)
    assert.equal(hasTimestampsAlone(view, OFF), bytes === TIMESTAMPS)
    expectParsed(parse(bytes, tcp.ACK), { timestamps: true, tsVal: 5, tsEcr: -1 })
  }
  assert.equal(tsValAlone(header(TIMESTAMPS, tcp.ACK), OFF), 5)
  for (const bytes of [[...TIMESTAMPS, 1], TIMESTAMPS.slice(0, 8), [1, 1, 8, 9, ...option]]) {
    assert.equal(hasTimestampsAlone(header(bytes, tcp.ACK), OFF), false)
  }
})

test('options in whole words, byte for byte', () => {
  const bytes = new Uint8Array(20).fill(0xa5)
  const view = new DataView(bytes.buffer)
  const written = (end: number): number[] => [...bytes.subarray(2, end)]
  const rest = [0x80, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe]
  assert.deepEqual(written(writeSackPermitted(view, 2)), [1, 1, 4, 2])
  assert.deepEqual(written(writeTimestamps(view, 2, -(2 ** 31) + 1, -2)), [1, 1, 8, 10, ...rest])
  assert.deepEqual(written(writeSackPermittedAndTimestamps(view, 2, 3, 4)), [
    ...[4, 2, 8, 10, 0, 0, 0, 3, 0, 0, 0, 4],
  ])
  setTimestamps(view, 2, -(2 ** 31) + 1, -2)
  assert.deepEqual(written(14), [4, 2, 8, 10, ...rest])
  assert.deepEqual([...bytes.subarray(14)], new Array(6).fill(0xa5))
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
