/**
 * What an answer sends of a body that is not in memory, behind its head: bytes of the body, and of
 * several ranges also what stands before each.
 */

/** Made bytes, and behind them bytes [from, end) of the body. */
export interface Slice {
  readonly made: Uint8Array
  readonly from: number
  readonly end: number
}

export const NO_BYTES: Uint8Array = new Uint8Array()

/** Of all that is sent. */
export function sliceBytes(slices: readonly Slice[]): number {
  return slices.reduce((sum, { made, from, end }) => sum + made.length + end - from, 0)
}
