import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as checksum from '../src/wire/checksum.ts'
import { random } from './random.ts'
import * as reference from './reference/checksum.ts'

const SIZES = [
  0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 19, 20, 31, 32, 33, 34, 35, 40, 47, 60, 63, 64, 65, 1428,
  1447, 1448, 1459, 1460, 1461, 1500, 22_000, 65_535,
]
const next: () => number = random(42)
const bytes: Uint8Array = Uint8Array.from({ length: 70_000 }, () => next())
const view: DataView = new DataView(bytes.buffer)

/** 0 and 0xffff are the same value. */
const same = (a: number, b: number): boolean => a % 0xffff === b % 0xffff
function assertSame(a: number, b: number, message: string): void {
  assert.ok(same(a, b), `${message}: ${a.toString(16)} is not ${b.toString(16)}`)
  assert.ok(a >= 0 && a <= 0xffff, message)
}

test('the example of RFC 1071 §3', () => {
  const example = new DataView(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7).buffer)
  assert.equal(checksum.sum(example, 0, 8), 0xddf2)
  assert.equal(checksum.finish(0xddf2), 0x220d)
})

test('awkward sizes at every offset sum as in the twin', () => {
  for (const len of SIZES) {
    for (let off = 0; off < 9; off++) {
      const want = reference.sum(view, off, len)
      assertSame(checksum.sum(view, off, len), want, `${len} bytes at ${off}`)
    }
  }
})

test('nothing before or behind the piece counts', () => {
  const alone = new Uint8Array(200).fill(0xa5)
  const box = new DataView(alone.buffer)
  for (let len = 0; len < 100; len++) {
    alone.fill(0xa5)
    alone.set(bytes.subarray(0, len), 50)
    assert.equal(checksum.sum(box, 50, len), checksum.sum(view, 0, len), `${len} bytes`)
  }
})

test('all ones, all zeros, and a piece that ends with its buffer', () => {
  const ones = new DataView(new Uint8Array(65_535).fill(0xff).buffer)
  for (const len of SIZES) {
    assertSame(checksum.sum(ones, 65_535 - len, len), reference.sum(ones, 0, len), `${len} ones`)
    assert.equal(checksum.sum(new DataView(new ArrayBuffer(len)), 0, len), 0)
  }
})

test('more bytes than a double can hold the sum of', () => {
  const len = 9 * 2 ** 20 + 3
  const big = new DataView(new Uint8Array(len).fill(0xff).buffer)
  assertSame(checksum.sum(big, 0, len), reference.sum(big, 0, len), 'nine megabytes of ones')
})

test('sums of pieces add up, swapped where a piece begins at an odd offset', () => {
  for (let i = 0; i < 5000; i++) {
    const len = next() % 3000
    const cut = len === 0 ? 0 : next() % len
    const off = next() % 1000
    const first = checksum.sum(view, off, cut)
    const second = checksum.sum(view, off + cut, len - cut)
    const total = checksum.add(first, cut % 2 === 0 ? second : checksum.atOdd(second))
    assertSame(total, reference.sum(view, off, len), `${len} bytes cut at ${cut}`)
  }
})

test('fold takes any 32 bits', () => {
  for (const n of [0, 1, 0xffff, 0x10000, 0x1ffff, 0xfffeffff, 0xffff0001, 0xffffffff]) {
    assertSame(checksum.fold(n), n % 0xffff, n.toString(16))
    assert.equal(checksum.fold(n | 0), checksum.fold(n), 'the same bits as int32')
  }
})

test('RFC 1624: a changed word changes the checksum as a new sum would', () => {
  const box = new DataView(new ArrayBuffer(40))
  for (let i = 0; i < 20_000; i++) {
    for (let k = 0; k < 40; k += 2) box.setUint16(k, i % 5 === 0 ? 0xffff * (k & 1) : next())
    const csum = checksum.finish(reference.sum(box, 0, 40))
    const at = 2 * (next() % 20)
    const before = box.getUint16(at)
    const after = i % 3 === 0 ? 0xffff * (i & 1) : next() & 0xffff
    box.setUint16(at, after)
    const want = checksum.finish(reference.sum(box, 0, 40))
    assertSame(checksum.update16(csum, before, after), want, `${before} to ${after}`)
  }
})

test('the example of RFC 1624 §4: eqn. 3 does not answer with the wrong zero', () => {
  assert.equal(checksum.update16(0xdd2f, 0x5555, 0x3285), 0x0000)
})
