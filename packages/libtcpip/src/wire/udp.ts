/**
 * UDP header accessors (RFC 768).
 *
 *    0               2               4               6               8
 *   +---------------+---------------+---------------+---------------+--------
 *   |  source port  |   dest port   |    length     |   checksum    | data …
 *   +---------------+---------------+---------------+---------------+--------
 *
 * The length is that of header and data; a checksum of 0 says that none was made. Call `check`
 * first.
 */
import { OK } from '@sandstorm/libeth'
import { UDP_LENGTH } from '../drops.ts'

const LENGTH = 4
const CHECKSUM = 6
export const HEADER_LEN = 8

export const length = (view: DataView, off: number): number => view.getUint16(off + LENGTH)
export const hasChecksum = (view: DataView, off: number): boolean =>
  view.getUint16(off + CHECKSUM) !== 0

/** Validates the header in the `room` bytes at `off`; what is behind `length` is no data. */
export function check(view: DataView, off: number, room: number): number {
  if (room < HEADER_LEN) return UDP_LENGTH
  const len = length(view, off)
  return len < HEADER_LEN || len > room ? UDP_LENGTH : OK
}
