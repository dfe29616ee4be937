/**
 * ARP packet accessors for IPv4 over Ethernet (RFC 826, numbers in RFC 5494).
 *
 *    0       2       4   5   6       8           14      18          24      28
 *   +-------+-------+---+---+-------+-----------+-------+-----------+-------+
 *   | htype | ptype | 6 | 4 |  op   | sender hw | s. ip | target hw | t. ip |
 *   +-------+-------+---+---+-------+-----------+-------+-----------+-------+
 *
 * `off` is the offset of the ARP packet, behind the Ethernet header. Call `check` once per packet;
 * accessors trust its answer. IP addresses are int32.
 */
import {
  ARP_HARDWARE,
  ARP_LENGTHS,
  ARP_OPERATION,
  ARP_PROTOCOL,
  ARP_TRUNCATED,
  OK,
} from './drops.ts'
import { TYPE_IPV4 } from './ethernet.ts'

const HTYPE = 0
const PTYPE = 2
const HLEN = 4
const OP = 6
const SENDER_MAC = 8
const SENDER_IP = 14
const TARGET_MAC = 18
const TARGET_IP = 24
/** Bytes of an ARP packet for IPv4 over Ethernet. */
export const PACKET_LEN = 28

const HTYPE_ETHERNET = 1
/** hlen 6 and plen 4, read as one uint16. */
const LENGTHS = 0x0604

export const REQUEST = 1
export const REPLY = 2

export const operation = (view: DataView, off: number): number => view.getUint16(off + OP)
export const senderHi = (view: DataView, off: number): number => view.getUint16(off + SENDER_MAC)
export const senderLo = (view: DataView, off: number): number => view.getInt32(off + SENDER_MAC + 2)
export const senderIp = (view: DataView, off: number): number => view.getInt32(off + SENDER_IP)
export const targetHi = (view: DataView, off: number): number => view.getUint16(off + TARGET_MAC)
export const targetLo = (view: DataView, off: number): number => view.getInt32(off + TARGET_MAC + 2)
export const targetIp = (view: DataView, off: number): number => view.getInt32(off + TARGET_IP)

/** Writes the fixed fields and the operation. */
export function setOperation(view: DataView, off: number, op: number): void {
  view.setUint16(off + HTYPE, HTYPE_ETHERNET)
  view.setUint16(off + PTYPE, TYPE_IPV4)
  view.setUint16(off + HLEN, LENGTHS)
  view.setUint16(off + OP, op)
}
export function setSender(view: DataView, off: number, hi: number, lo: number, ip: number): void {
  view.setUint16(off + SENDER_MAC, hi)
  view.setInt32(off + SENDER_MAC + 2, lo)
  view.setInt32(off + SENDER_IP, ip)
}
export function setTarget(view: DataView, off: number, hi: number, lo: number, ip: number): void {
  view.setUint16(off + TARGET_MAC, hi)
  view.setInt32(off + TARGET_MAC + 2, lo)
  view.setInt32(off + TARGET_IP, ip)
}

/** Validates the `len` bytes at `off`; bytes behind the packet are Ethernet padding. */
export function check(view: DataView, off: number, len: number): number {
  if (len < PACKET_LEN) return ARP_TRUNCATED
  if (view.getUint16(off + HTYPE) !== HTYPE_ETHERNET) return ARP_HARDWARE
  if (view.getUint16(off + PTYPE) !== TYPE_IPV4) return ARP_PROTOCOL
  if (view.getUint16(off + HLEN) !== LENGTHS) return ARP_LENGTHS
  const op = operation(view, off)
  return op === REQUEST || op === REPLY ? OK : ARP_OPERATION
}
