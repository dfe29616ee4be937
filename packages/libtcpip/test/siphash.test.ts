import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SipHash } from '../src/siphash.ts'
import { random } from './random.ts'
import { sipHash as reference } from './reference/siphash.ts'

/** The reference implementation's vectors: key 00 01 … 0f, message 00 01 … of the length given. */
const VECTORS_2_4: Record<number, bigint> = {
  0: 0x726fdb47dd0e0e31n,
  1: 0x74f839c593dc67fdn,
  7: 0xab0200f58b01d137n,
  8: 0x93f5f5799a932462n,
  15: 0xa129ca6149be45e5n,
  16: 0x3f2acc7f57c29bdbn,
  63: 0x958a324ceb064572n,
}
const VECTORS_1_3: Record<number, bigint> = {
  0: 0xabac0158050fc4dcn,
  1: 0xc9f49bf37d57ca93n,
  7: 0xd3927d989bb11140n,
  8: 0x369095118d299a8en,
  15: 0xd320d86d2a519956n,
  16: 0xcc4fdd1a7d908b66n,
}
const count = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i)
/** Four little-endian words, whatever this machine's byte order is. */
function words(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return Int32Array.from({ length: 4 }, (_, i) => view.getInt32(4 * i, true))
}
function hash64(sip: SipHash, w: Int32Array): bigint {
  const low = sip.hash(w[0], w[1], w[2], w[3])
  assert.equal(low, low | 0)
  return (BigInt(sip.high >>> 0) << 32n) | BigInt(low >>> 0)
}

test('the twin agrees with the published vectors, SipHash-2-4 and 1-3', () => {
  for (const [n, want] of Object.entries(VECTORS_2_4)) {
    assert.equal(reference(count(16), count(Number(n)), 2, 4), want, `2-4, ${n} bytes`)
  }
  for (const [n, want] of Object.entries(VECTORS_1_3)) {
    assert.equal(reference(count(16), count(Number(n)), 1, 3), want, `1-3, ${n} bytes`)
  }
})

test('16 bytes hash to the published vectors', () => {
  const w = words(count(16))
  assert.equal(hash64(new SipHash(w), w), VECTORS_2_4[16])
  assert.equal(hash64(new SipHash(Uint32Array.from(w), 1, 3), w), VECTORS_1_3[16])
})

test('random keys and messages hash as in the twin', () => {
  const next = random(7)
  const bytes = (): Uint8Array => Uint8Array.from({ length: 16 }, () => next())
  for (let i = 0; i < 3000; i++) {
    const key = bytes()
    const message = bytes()
    // Words of all ones and all zeros make the carries go far.
    if (i % 3 === 0) message.fill(i % 2 === 0 ? 0xff : 0, 0, 4 + (i % 12))
    const [c, d] = [1 + (i % 3), 2 + (i % 4)]
    const sip = new SipHash(words(key), c, d)
    assert.equal(hash64(sip, words(message)), reference(key, message, c, d))
  }
})

test('a key of any other size is refused', () => {
  assert.throws(() => new SipHash(new Int32Array(3)), /four words/)
})
