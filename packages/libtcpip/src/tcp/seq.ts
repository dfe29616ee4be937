/**
 * Sequence number arithmetic (RFC 9293 §3.4). Sequence numbers are int32: read with getInt32, moved
 * with `(a + b) | 0`, compared only here, by the sign of the wrapped difference.
 */
export const lt = (a: number, b: number): boolean => ((a - b) | 0) < 0
export const le = (a: number, b: number): boolean => ((a - b) | 0) <= 0
export const gt = (a: number, b: number): boolean => ((a - b) | 0) > 0
export const ge = (a: number, b: number): boolean => ((a - b) | 0) >= 0
/** The later of two sequence numbers. */
export const max = (a: number, b: number): number => (((a - b) | 0) >= 0 ? a : b)
/** The earlier of two sequence numbers. */
export const min = (a: number, b: number): number => (((a - b) | 0) <= 0 ? a : b)
/** Bytes from `from` up to `to`: negative if `to` is earlier. */
export const span = (from: number, to: number): number => (to - from) | 0
