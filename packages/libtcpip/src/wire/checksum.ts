/**
 * The Internet checksum in pieces (RFC 1071, RFC 1624). A *sum* is 16 bits, folded, not
 * complemented, over big-endian words, an odd tail padded with a zero byte. Sums of pieces add up,
 * so a payload is summed once, when it is loaded, and its segments are sent with header arithmetic
 * alone (paper §2.1).
 *
 * Invariant: a sum is in 0 … 0xffff, and 0 and 0xffff are the same value of one's complement.
 */

/** A double holds the sum of 2^21 words of 32 bits exactly; half of that is summed at a time. */
const PIECE_BYTES = 4 << 20

/** Folds the 32 bits of a sum, int32 or uint32, into 16 with end-around carry. */
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
  return len <= PIECE_BYTES ? sumPiece(view, off, len) : sumPieces(view, off, len)
}

function sumPieces(view: DataView, off: number, len: number): number {
  let s = 0
  for (const end = off + len; off < end; off += PIECE_BYTES) {
    s = add(s, sumPiece(view, off, Math.min(PIECE_BYTES, end - off)))
  }
  return s
}

/**
 * Adds 32-bit words in the byte order of the machine and swaps the result (RFC 1071 §2 (B)), in
 * doubles, which need no carry. 1460 bytes: 120 ns; in 16-bit lanes of an int32 210, word by word
 * 700 (Node 20.20, x86-64 virtual machine, 2026-11-22).
 */
function sumPiece(view: DataView, off: number, len: number): number {
  const end = off + len
  let a = 0
  let b = 0
  for (const end32 = off + (len & ~31); off < end32; off += 32) {
    a += view.getUint32(off, true) + view.getUint32(off + 4, true)
    b += view.getUint32(off + 8, true) + view.getUint32(off + 12, true)
    a += view.getUint32(off + 16, true) + view.getUint32(off + 20, true)
    b += view.getUint32(off + 24, true) + view.getUint32(off + 28, true)
  }
  let s = a + b
  for (; off + 3 < end; off += 4) s += view.getUint32(off, true)
  if (off + 1 < end) {
    s += view.getUint16(off, true)
    off += 2
  }
  if (off < end) s += view.getUint8(off)
  // `| 0`, not `>>> 0`: an int32 is a small integer, a larger uint32 would be allocated.
  return atOdd(add(fold(s | 0), fold((s / 2 ** 32) | 0)))
}
