/** Frames of ARP and neighbour discovery, as the peer sends them. */
import {
  address,
  arp,
  BROADCAST_MAC,
  concat,
  ETH_ARP,
  ETH_IPV6,
  ethernet,
  icmpv6,
  ip,
  mac,
  PROTO_ICMPV6,
  u32,
} from './frames.ts'
import type { Target } from './target.ts'

export const ARP_REQUEST = 1
export const ARP_REPLY = 2
export const NEIGHBOUR_SOLICITATION = 135
export const NEIGHBOUR_ADVERTISEMENT = 136

const solicitedNode = (of: Uint8Array): Uint8Array =>
  concat(address('ff02::1:ff00:0').subarray(0, 13), of.subarray(13))

/** The frame of an ICMPv6 message of the peer; to a group it goes in a multicast frame. */
export function icmpv6Frame(
  { self, peer }: Target,
  type: number,
  code: number,
  rest: Uint8Array,
  fields: { dst?: Uint8Array; src?: Uint8Array; ttl?: number } = {},
): Uint8Array {
  const route = { src: address(peer.ipv6), dst: address(self.ipv6), ...fields }
  const message = icmpv6(route, type, code, rest)
  const packet = ip({ ...route, protocol: PROTO_ICMPV6, ttl: fields.ttl ?? 64 }, message)
  const isGroup = route.dst[0] === 0xff
  const dstMac = isGroup ? concat(Uint8Array.of(0x33, 0x33), route.dst.subarray(12)) : self.mac
  return ethernet(dstMac, peer.mac, ETH_IPV6, packet)
}

/** A neighbour solicitation for the target's address, as RFC 4861 §7.2.2 wants it. */
export function solicitation(
  target: Target,
  options: {
    ttl?: number
    code?: number
    /** The option in it; default: our hardware address. */
    option?: Uint8Array
    src?: Uint8Array
    target?: Uint8Array
  },
): Uint8Array {
  const asked = options.target ?? address(target.self.ipv6)
  const option = options.option ?? concat(Uint8Array.of(1, 1), target.peer.mac)
  const rest = concat(u32(0), asked, option)
  return icmpv6Frame(target, NEIGHBOUR_SOLICITATION, options.code ?? 0, rest, {
    dst: solicitedNode(asked),
    ttl: options.ttl ?? 255,
    ...(options.src === undefined ? {} : { src: options.src }),
  })
}

/** The frame of an ARP packet. */
export function arpFrame(
  { self, peer }: Target,
  fields: Partial<Parameters<typeof arp>[0]>,
  options: { dst?: Uint8Array; spoil?: (packet: Uint8Array) => void } = {},
): Uint8Array {
  const packet = arp(
    {
      operation: ARP_REQUEST,
      senderMac: peer.mac,
      senderIp: address(peer.ipv4),
      targetMac: mac('00:00:00:00:00:00'),
      targetIp: address(self.ipv4),
      ...fields,
    },
    options.spoil,
  )
  const src = fields.senderMac ?? peer.mac
  return ethernet(options.dst ?? BROADCAST_MAC, src, ETH_ARP, packet)
}
