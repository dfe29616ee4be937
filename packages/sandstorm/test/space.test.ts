import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { even, NO_SPACE, Space } from '../src/content/space.ts'

test('places are even, inside, and whole again when all is given back', () => {
  const space = new Space(100, 1000)
  assert.equal(space.freeBytes, 900)
  const places = [7, 100, 1, 300].map(len => ({ off: space.alloc(len), len }))
  assert.deepEqual(
    places.map(({ off }) => off),
    [100, 108, 208, 210],
  )
  assert.equal(space.alloc(500), NO_SPACE)
  for (const { off, len } of [places[2], places[0], places[3], places[1]]) space.free(off, len)
  assert.equal(space.freeBytes, 900)
  assert.equal(space.alloc(900), 100)
})

test('the end can be cut off down to what is used', () => {
  const space = new Space(0, 1000)
  const off = space.alloc(100)
  assert.equal(space.cut(50), 150)
  assert.deepEqual([space.end, space.freeBytes], [150, 50])
  assert.equal(space.alloc(51), NO_SPACE)
  space.free(off, 100)
  assert.equal(space.alloc(150), 0)
  assert.equal(space.cut(50), 150, 'nothing is free at the end')
})

/** A naive twin: one flag for each byte. */
class Bytes {
  readonly #used = new Uint8Array(400)
  take(off: number, len: number): void {
    for (let i = off; i < off + even(len); i++) {
      assert.equal(this.#used[i], 0, 'no two places overlap')
      this.#used[i] = 1
    }
  }
  give(off: number, len: number): void {
    this.#used.fill(0, off, off + even(len))
  }
  fits(len: number): boolean {
    for (let off = 0, run = 0; off < this.#used.length; off++) {
      run = this.#used[off] === 0 ? run + 1 : 0
      if (run >= even(len)) return true
    }
    return len === 0
  }
}

test('whatever is taken and given back, there is a place if and only if there is room', () => {
  const step = fc.record({ len: fc.integer({ min: 1, max: 120 }), give: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const space = new Space(0, 400)
      const bytes = new Bytes()
      const places: { off: number; len: number }[] = []
      for (const { len, give } of steps) {
        const off = space.alloc(len)
        assert.equal(off === NO_SPACE, !bytes.fits(len))
        if (off !== NO_SPACE) {
          bytes.take(off, len)
          places.push({ off, len })
        }
        const [place] = give < places.length ? places.splice(give, 1) : []
        if (place === undefined) continue
        space.free(place.off, place.len)
        bytes.give(place.off, place.len)
      }
    }),
  )
})
