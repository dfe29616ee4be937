/**
 * Ethernet and IP headers in front of a TCP segment: IPv4 (RFC 791) or IPv6 (RFC 8200 §3), as the
 * frame key says (tcb.ts). `writeIpHeader` writes what the key and a length determine; the
 * destination, and with IPv4 the checksum, are written with each send (headers.ts).
 */
import { ethernet } from '@sandstorm/libeth'
import { fold } from '../wire/checksum.ts'
import * as ipv4 from '../wire/ipv4.ts'
import * as ipv6 from '../wire/ipv6.ts'
import { KIND_IPV6, localOf } from './tcb.ts'
import type { Tcp } from './tcp.ts'

const IP_OFF = ethernet.HEADER_LEN
const IPV4_TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN
const IPV6_TCP_OFF = ethernet.HEADER_LEN + ipv6.HEADER_LEN

const VERSION_IHL_TOS = 0x4500

/** A header key is a frame key (tcb.ts) with the ECN bits of the IP header from this bit on. */
export const ECN_SHIFT = 18
const ecnOf = (key: number): number => (key >> ECN_SHIFT) & ipv4.ECN_MASK

/** Where the TCP header begins in a frame. */
export const tcpOff = (key: number): number => (key & KIND_IPV6 ? IPV6_TCP_OFF : IPV4_TCP_OFF)

/** What an address, or a part of one, adds to a checksum. */
export const sum32 = (n: number): number => (n >>> 16) + (n & 0xffff)

/**
 * Writes the constant fields of the frame at `off` for a header key; `tcpLen`: TCP header and
 * payload.
 */
export function writeIpHeader(tcp: Tcp, off: number, key: number, tcpLen: number): void {
  ethernet.setSrc(tcp.frames.region.view, off, tcp.macHi, tcp.macLo)
  if (key & KIND_IPV6) writeIpv6(tcp, off, key, tcpLen)
  else writeIpv4(tcp, off, key, tcpLen)
}

function writeIpv4(tcp: Tcp, off: number, key: number, tcpLen: number): void {
  const view = tcp.frames.region.view
  const ip = off + IP_OFF
  ethernet.setType(view, off, ethernet.TYPE_IPV4)
  ipv4.setHeaderLen(view, ip, ipv4.HEADER_LEN)
  ipv4.setTos(view, ip, ecnOf(key))
  ipv4.setTotalLen(view, ip, ipv4.HEADER_LEN + tcpLen)
  // Atomic datagrams: never fragmented, so the ID means nothing (RFC 6864 §4.1).
  ipv4.setId(view, ip, 0)
  ipv4.setFragment(view, ip, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, ip, tcp.config.ttl)
  ipv4.setProtocol(view, ip, ipv4.PROTO_TCP)
  ipv4.setSrc(view, ip, tcp.addresses.word(localOf(key), 0))
}

function writeIpv6(tcp: Tcp, off: number, key: number, tcpLen: number): void {
  const { addresses } = tcp
  const view = tcp.frames.region.view
  const local = localOf(key)
  const ip = off + IP_OFF
  ethernet.setType(view, off, ethernet.TYPE_IPV6)
  ipv6.setClassAndFlow(view, ip, ecnOf(key), 0)
  ipv6.setPayloadLen(view, ip, tcpLen)
  ipv6.setNextHeader(view, ip, ipv6.PROTO_TCP)
  ipv6.setHopLimit(view, ip, tcp.config.ttl)
  ipv6.setSrc(
    view,
    ip,
    addresses.word(local, 0),
    addresses.word(local, 1),
    addresses.word(local, 2),
    addresses.word(local, 3),
  )
}

/**
 * What a header's constant fields add to an IPv4 checksum; addresses and the length behind it are
 * left out.
 */
export const ipv4HeaderSum = (tcp: Tcp, key: number): number =>
  VERSION_IHL_TOS +
  ecnOf(key) +
  ipv4.HEADER_LEN +
  ipv4.DONT_FRAGMENT +
  (tcp.config.ttl << 8) +
  ipv4.PROTO_TCP

/** Writes what differs between two IPv4 frames. `sum`: that of all fields of the header. */
export function patchIpv4(view: DataView, off: number, dst: number, sum: number): void {
  ipv4.setChecksum(view, off + IP_OFF, ~fold(sum))
  ipv4.setDst(view, off + IP_OFF, dst)
}

/** Likewise for IPv6, which has no checksum. */
export function patchIpv6(
  view: DataView,
  off: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): void {
  ipv6.setDst(view, off + IP_OFF, w0, w1, w2, w3)
}
