/** The messages of memif's control channel, byte for byte, and what is none. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decode, encode, MESSAGE_LEN, type Message } from '../src/memif/message.ts'

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const text = (size: number): fc.Arbitrary<string> =>
  fc.stringMatching(/^[ -~]*$/).map(text => text.slice(0, size - 1))

const MESSAGES: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ type: fc.constant('ack' as const) }),
  fc.record({
    type: fc.constant('hello' as const),
    name: text(32),
    minVersion: u16,
    maxVersion: u16,
    maxRegion: u16,
    maxM2sRing: u16,
    maxS2mRing: u16,
    maxLog2RingSize: u8,
  }),
  fc.record({
    type: fc.constant('init' as const),
    version: u16,
    id: u32,
    mode: u8,
    secret: text(24),
    name: text(32),
  }),
  fc.record({
    type: fc.constant('addRegion' as const),
    index: u16,
    size: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  }),
  fc.record({
    type: fc.constant('addRing' as const),
    flags: u16,
    index: u16,
    region: u16,
    offset: u32,
    log2RingSize: u8,
    privateHdrSize: u16,
  }),
  fc.record({ type: fc.constant('connect' as const), ifName: text(32) }),
  fc.record({ type: fc.constant('connected' as const), ifName: text(32) }),
  fc.record({ type: fc.constant('disconnect' as const), code: u32, reason: text(96) }),
)

test('a message comes back as it was', () => {
  fc.assert(
    fc.property(MESSAGES, message => {
      const bytes = encode(message)
      assert.equal(bytes.length, MESSAGE_LEN)
      assert.deepEqual({ ...decode(bytes) }, { ...message })
    }),
    { numRuns: 2000 },
  )
})

/** `02 00 ab`, then zeros up to 128 bytes. */
function golden(hex: string): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_LEN)
  bytes.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  return bytes
}
const name = (text: string): string => Buffer.from(text.padEnd(32, '\0')).toString('hex')

const GOLDEN: [Message, Uint8Array][] = [
  [{ type: 'ack' }, golden('0100')],
  [
    {
      type: 'hello',
      name: 'sandstorm',
      minVersion: 0x0200,
      maxVersion: 0x0201,
      maxRegion: 3,
      maxM2sRing: 4,
      maxS2mRing: 5,
      maxLog2RingSize: 14,
    },
    golden(`0200 ${name('sandstorm')} 0002 0102 0300 0400 0500 0e`),
  ],
  [
    { type: 'init', version: 0x0200, id: 0x01020304, mode: 1, secret: 'abc', name: 'me' },
    golden(`0300 0002 04030201 01 616263${'00'.repeat(21)} ${name('me')}`),
  ],
  [{ type: 'addRegion', index: 2, size: 0x123456789 }, golden('0400 0200 8967452301000000')],
  [
    {
      type: 'addRing',
      flags: 1,
      index: 2,
      region: 3,
      offset: 0x11223344,
      log2RingSize: 10,
      privateHdrSize: 0x0506,
    },
    golden('0500 0100 0200 0300 44332211 0a 0605'),
  ],
  [{ type: 'connect', ifName: 'eth0' }, golden('0600 65746830')],
  [{ type: 'connected', ifName: 'eth1' }, golden('0700 65746831')],
  [{ type: 'disconnect', code: 7, reason: 'bye' }, golden('0800 07000000 627965')],
]
for (const [message, bytes] of GOLDEN) {
  test(`${message.type} lies as memif.h has it`, () => {
    assert.deepEqual(encode(message), bytes)
    assert.deepEqual(decode(bytes), message)
  })
}

test('a text that fills its field ends there', () => {
  const bytes = new Uint8Array(MESSAGE_LEN).fill(0x41)
  bytes.set([6, 0])
  assert.deepEqual(decode(bytes), { type: 'connect', ifName: 'A'.repeat(32) })
  const cut = decode(encode({ type: 'connect', ifName: 'B'.repeat(99) }))
  assert.deepEqual(cut, { type: 'connect', ifName: 'B'.repeat(31) })
})

test('what is no message is undefined, and nothing throws', () => {
  assert.equal(decode(new Uint8Array(0)), undefined)
  assert.equal(decode(encode({ type: 'ack' }).subarray(0, 127)), undefined)
  assert.equal(decode(new Uint8Array(129).fill(1)), undefined)
  for (const type of [0, 9, 255, 0x0101]) {
    const bytes = new Uint8Array(MESSAGE_LEN)
    new DataView(bytes.buffer).setUint16(0, type, true)
    assert.equal(decode(bytes), undefined)
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 140 }),
      fc.integer({ min: 0, max: 9 }),
      (bytes, type) => {
        const padded = new Uint8Array(MESSAGE_LEN)
        padded.set(bytes.subarray(0, MESSAGE_LEN))
        padded.set([type, 0])
        assert.equal(decode(padded) === undefined, type === 0 || type === 9)
        decode(bytes)
      },
    ),
    { numRuns: 2000 },
  )
})
