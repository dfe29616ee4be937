/**
 * Frames written and read the naive way, for the tests of this package alone (the real headers live
 * in libeth and libtcpip, to which nothing here may lead): Ethernet, ARP, IPv4, UDP and TCP.
 */
export const ETH = 14
export const IP = 20
export const TCP = 20
export const UDP = 8
export const SYN = 0x02
export const PSH = 0x08
export const ACK = 0x10

/** One end of a conversation. */
export interface End {
  readonly mac: Uint8Array
  readonly ip: readonly number[]
  readonly port: number
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** RFC 1071: the folded sum, not complemented. */
export function sum(bytes: Uint8Array, start = 0): number {
  let total = start
  for (let i = 0; i < bytes.length; i++) total += (i & 1) === 0 ? bytes[i] << 8 : bytes[i]
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return total
}

function ethernet(to: Uint8Array, from: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.of(...to, ...from, type >> 8, type & 0xff, ...payload)
}

/** RFC 826: operation 1 asks, 2 answers. */
export function arp(operation: number, from: End, to: End): Uint8Array {
  const body = [0, 1, 8, 0, 6, 4, 0, operation, ...from.mac, ...from.ip, ...to.mac, ...to.ip]
  return ethernet(to.mac, from.mac, 0x0806, Uint8Array.from(body))
}

/** The pseudo-header's sum (RFC 9293 §3.1). */
const pseudo = (from: End, to: End, protocol: number, len: number): number =>
  sum(Uint8Array.of(...from.ip, ...to.ip, 0, protocol, len >> 8, len & 0xff))

function ipv4(from: End, to: End, protocol: number, payload: Uint8Array, more = 0): Uint8Array {
  const header = Uint8Array.of(
    0x45,
    0,
    0,
    0,
    0,
    0,
    0x40,
    0,
    64,
    protocol,
    0,
    0,
    ...from.ip,
    ...to.ip,
  )
  viewOf(header).setUint16(2, IP + payload.length + more)
  viewOf(header).setUint16(10, ~sum(header) & 0xffff)
  return ethernet(to.mac, from.mac, 0x0800, Buffer.concat([header, payload]))
}

export function udp(from: End, to: End, data: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(UDP + data.length)
  const view = viewOf(datagram)
  view.setUint16(0, from.port)
  view.setUint16(2, to.port)
  view.setUint16(4, datagram.length)
  datagram.set(data, UDP)
  view.setUint16(6, ~sum(datagram, pseudo(from, to, 17, datagram.length)) & 0xffff || 0xffff)
  return ipv4(from, to, 17, datagram)
}

export interface Segment {
  readonly seq: number
  readonly ack: number
  readonly flags: number
}

/**
 * A TCP segment. `partial`: the checksum field holds the pseudo-header's sum alone. `body` is
 * summed and counted, but left for the caller to put behind.
 */
export function tcp(
  from: End,
  to: End,
  segment: Segment,
  body: Uint8Array,
  partial: boolean,
): Uint8Array {
  const header = new Uint8Array(TCP)
  const view = viewOf(header)
  view.setUint16(0, from.port)
  view.setUint16(2, to.port)
  view.setUint32(4, segment.seq)
  view.setUint32(8, segment.ack)
  view.setUint16(12, (5 << 12) | segment.flags)
  view.setUint16(14, 65535)
  const start = pseudo(from, to, 6, TCP + body.length)
  view.setUint16(16, partial ? start : ~sum(Buffer.concat([header, body]), start) & 0xffff)
  return ipv4(from, to, 6, header, body.length)
}

/** Fields of a TCP/IPv4 frame to the port; undefined if it is something else. */
export function readTcp(
  frame: Uint8Array,
  to: End,
): (Segment & { data: Uint8Array; good: boolean }) | undefined {
  const view = viewOf(frame)
  if (view.getUint16(12) !== 0x0800 || frame[ETH + 9] !== 6) return undefined
  const total = view.getUint16(ETH + 2)
  const l4 = ETH + (frame[ETH] & 0xf) * 4
  const segment = frame.subarray(l4, ETH + total)
  if (view.getUint16(l4 + 2) !== to.port) return undefined
  const ends = sum(frame.subarray(ETH + 12, ETH + 20), 6 + segment.length)
  return {
    seq: view.getUint32(l4 + 4),
    ack: view.getUint32(l4 + 8),
    flags: frame[l4 + 13],
    data: segment.slice((frame[l4 + 12] >> 4) * 4),
    good: sum(segment, ends) === 0xffff,
  }
}
