/**
 * TCP header accessors (RFC 9293 §3.1).
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-------------------------------+-------------------------------+
 *   |          Source Port          |       Destination Port        |
 *   +-------------------------------+-------------------------------+
 *   |                        Sequence Number                        |
 *   +---------------------------------------------------------------+
 *   |                    Acknowledgment Number                      |
 *   +-------+-------+---------------+-------------------------------+
 *   | D.Off | Rsrvd |C E U A P R S F|            Window             |
 *   +-------+-------+---------------+-------------------------------+
 *   |           Checksum            |         Urgent Pointer        |
 *   +-------------------------------+-------------------------------+
 *
 * A header is (view, off): `off` is the byte offset of the TCP header in its region. Call `check`
 * once per received segment; accessors trust its answer. Options: tcpOptions.ts.
 */
import { OK } from '@sandstorm/libeth'
import { TCP_HEADER_LEN, TCP_PORT_ZERO, TCP_TRUNCATED } from '../drops.ts'

const SRC_PORT = 0
const DST_PORT = 2
const SEQ = 4
const ACK_NUMBER = 8
const DATA_OFF = 12
const FLAGS = 13
const WINDOW = 14
const CHECKSUM = 16
const URGENT = 18
/** Bytes of a header without options. */
export const HEADER_LEN = 20

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80

export const srcPort = (view: DataView, off: number): number => view.getUint16(off + SRC_PORT)
export const dstPort = (view: DataView, off: number): number => view.getUint16(off + DST_PORT)
/** Sequence number as int32; compare only through seq.ts. */
export const seq = (view: DataView, off: number): number => view.getInt32(off + SEQ)
/** Acknowledgment number as int32; compare only through seq.ts. */
export const ack = (view: DataView, off: number): number => view.getInt32(off + ACK_NUMBER)
/** Header length in bytes, options included. */
export const headerLen = (view: DataView, off: number): number =>
  (view.getUint8(off + DATA_OFF) >> 4) << 2
/** The eight flags, CWR … FIN. */
export const flags = (view: DataView, off: number): number => view.getUint8(off + FLAGS)
export const window = (view: DataView, off: number): number => view.getUint16(off + WINDOW)
export const checksum = (view: DataView, off: number): number => view.getUint16(off + CHECKSUM)
export const urgent = (view: DataView, off: number): number => view.getUint16(off + URGENT)

export const setSrcPort = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + SRC_PORT, v)
export const setDstPort = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + DST_PORT, v)
export const setSeq = (view: DataView, off: number, v: number): void => view.setInt32(off + SEQ, v)
export const setAck = (view: DataView, off: number, v: number): void =>
  view.setInt32(off + ACK_NUMBER, v)
/** Writes the header length, in bytes, and clears the reserved bits. */
export const setHeaderLen = (view: DataView, off: number, len: number): void =>
  view.setUint8(off + DATA_OFF, (len >> 2) << 4)
export const setFlags = (view: DataView, off: number, v: number): void =>
  view.setUint8(off + FLAGS, v)
export const setWindow = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + WINDOW, v)
export const setChecksum = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + CHECKSUM, v)
export const setUrgent = (view: DataView, off: number, v: number): void =>
  view.setUint16(off + URGENT, v)

/**
 * Validates the header of a segment of `len` bytes (header and data) at `off`. The checksum needs
 * the pseudo-header and may be the device's business, so it is not looked at here.
 */
export function check(view: DataView, off: number, len: number): number {
  if (len < HEADER_LEN) return TCP_TRUNCATED
  const hdr = headerLen(view, off)
  if (hdr < HEADER_LEN || hdr > len) return TCP_HEADER_LEN
  if (srcPort(view, off) === 0 || dstPort(view, off) === 0) return TCP_PORT_ZERO
  return OK
}
