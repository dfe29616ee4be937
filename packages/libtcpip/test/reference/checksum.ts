/**
 * The Internet checksum as RFC 1071 §1 says it, with nothing clever: the twin of wire/checksum.ts.
 */

/** The sum of `len` bytes at `off`: big-endian words, the last one padded, end-around carry. */
export function sum(view: DataView, off: number, len: number): number {
  let total = 0
  for (let i = 0; i < len; i += 2) {
    const high = view.getUint8(off + i)
    const low = i + 1 < len ? view.getUint8(off + i + 1) : 0
    total += high * 256 + low
    if (total > 0xffff) total -= 0xffff
  }
  return total
}
