/**
 * The Internet checksum in pieces (RFC 1071, RFC 1624). A *sum* is 16 bits, folded, not
 * complemented, over big-endian words, an odd tail padded with a zero byte. Sums of pieces add up,
 * so a payload is summed once, when it is loaded, and its segments are sent with header arithmetic
 * alone (paper §2.1).
 *
 * Invariant: a sum is in 0 … 0xffff, and 0 and 0xffff are the same value of one's complement.
 */

/** Bytes after which the two 16-bit lanes are folded: they stay below 2^31, small integers to V8. */
const FOLD_EVERY = 65536

/** Folds a sum of at most 2^32 - 1 into 16 bits, with end-around carry. */
export function fold(n: number): number {
  const once = (n & 0xffff) + (n >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

/** The sum of two sums. */
export function add(a: number, b: number): number {
  const s = a + b
  return (s & 0xffff) + (s >>> 16)
}

/** The sum of a piece that begins at an odd offset of what it belongs to (RFC 1071 §2 (B)). */
export const atOdd = (s: number): number => ((s & 0xff) << 8) | (s >>> 8)

/** The checksum field's value: the complement. */
export const finish = (s: number): number => ~s & 0xffff

/** The checksum field after a 16-bit word of the packet changed (RFC 1624 eqn. 3). */
export const update16 = (csum: number, before: number, after: number): number =>
  finish(fold((~csum & 0xffff) + (~before & 0xffff) + after))

/** The sum of `len` bytes at `off`. */
export function sum(view: DataView, off: number, len: number): number {
  let s = 0
  while (len > FOLD_EVERY) {
    s = add(s, sumShort(view, off, FOLD_EVERY))
    off += FOLD_EVERY
    len -= FOLD_EVERY
  }
  return add(s, sumShort(view, off, len))
}

function sumShort(view: DataView, off: number, len: number): number {
  const end = off + len
  let hi = 0
  let lo = 0
  for (const end16 = off + (len & ~15); off < end16; off += 16) {
    const a = view.getInt32(off)
    const b = view.getInt32(off + 4)
    const c = view.getInt32(off + 8)
    const d = view.getInt32(off + 12)
    hi += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)
    lo += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)
  }
  for (; off + 1 < end; off += 2) lo += view.getUint16(off)
  if (off < end) hi += view.getUint8(off) << 8
  return add(fold(hi), fold(lo))
}
