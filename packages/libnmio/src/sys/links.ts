/**
 * Interfaces, addresses and routes of this network namespace, read and set through rtnetlink
 * (RFC 3549, rtnetlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h). Nothing here needs
 * the `ip` program, and one mechanism serves IPv4 and IPv6.
 *
 * Reading needs no right; setting needs CAP_NET_ADMIN and throws SysError with EPERM without it.
 */
import {
  attributes,
  type Message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  request,
  stringOf,
  u32,
  u32Of,
  viewOf,
} from './netlink.ts'
import { familyOf, isIpv6Prefix, type Prefix } from './prefix.ts'

/** linux/rtnetlink.h: message types. */
const RTM_NEWLINK = 16
const RTM_GETLINK = 18
const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const RTM_GETROUTE = 26

/** linux/if_link.h: attributes of a link. */
const IFLA_ADDRESS = 1
const IFLA_IFNAME = 3
const IFLA_MTU = 4
const IFLA_MASTER = 10
const IFLA_TXQLEN = 13
const IFLA_LINKINFO = 18
const IFLA_STATS64 = 23
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_TUN_OWNER = 1
const IFLA_TUN_TYPE = 3
const IFLA_TUN_PERSIST = 6
const IFLA_TUN_MULTI_QUEUE = 7
const IFLA_TUN_NUM_QUEUES = 8
const IFLA_TUN_NUM_DISABLED_QUEUES = 9

/**
 * linux/if_link.h: struct rtnl_link_stats64 { u64 rx_packets, tx_packets, rx_bytes, tx_bytes,
 * rx_errors, tx_errors, rx_dropped, tx_dropped, … }.
 */
const STATS64_TX_DROPPED = 56

/** linux/if_addr.h: attributes of an address; IFA_LOCAL is ours, IFA_ADDRESS may be a peer's. */
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
/** linux/if_addr.h: use the IPv6 address at once, without asking whether somebody has it. */
const IFA_F_NODAD = 0x02
/** linux/rtnetlink.h: attributes of a route, and the table that `ip route` shows. */
const RTA_DST = 1
const RTA_OIF = 4
const RTA_TABLE = 15
const RT_TABLE_MAIN = 254

/**
 * linux/rtnetlink.h: struct ifinfomsg { u8 family, pad; u16 type; s32 index; u32 flags, change }.
 */
const IFINFOMSG_LEN = 16
/** linux/if_addr.h: struct ifaddrmsg { u8 family, prefixlen, flags, scope; u32 index }. */
const IFADDRMSG_LEN = 8
/** linux/rtnetlink.h: struct rtmsg { u8 family, dst_len, src_len, tos, table, …; u32 flags }. */
const RTMSG_LEN = 12

/** linux/if.h: interface flags. */
const IFF_UP = 0x1
const IFF_LOWER_UP = 0x10000

/** What the TUN/TAP driver says of its interface. */
export interface TunInfo {
  /** IFF_TUN (1) or IFF_TAP (2). */
  readonly type: number
  /** uid of the user who may attach to it, or undefined: only CAP_NET_ADMIN may. */
  readonly owner: number | undefined
  readonly persistent: boolean
  readonly multiQueue: boolean
  /** Queues that somebody has open; counted by the kernel for multi-queue interfaces only. */
  readonly queues: number
}

export interface Link {
  readonly index: number
  readonly name: string
  /** The kernel's word for the driver: `tun`, `veth`, `bridge`; '' for hardware. */
  readonly kind: string
  readonly mtu: number
  readonly txQueueLen: number
  /** Frames that were to be sent, and were not, since the interface is there. */
  readonly txDropped: number
  readonly mac: Uint8Array
  /** The index of the bridge that it is a port of; 0: none. */
  readonly master: number
  /** linux/if_arp.h: ARPHRD_ETHER (1) has Ethernet's frames and addresses. */
  readonly type: number
  readonly up: boolean
  /** Somebody holds the other end of the cable. */
  readonly carrier: boolean
  readonly tun: TunInfo | undefined
}

/** An address of this machine, and the subnet that it says it is in. */
export interface LinkAddress {
  readonly index: number
  readonly prefix: Prefix
}

/** A route of the main table; a prefix length of 0 is a default route. */
export interface Route {
  readonly index: number
  readonly prefix: Prefix
}

const NONE = new Map<number, Uint8Array>()

function tunInfo(data: Uint8Array): TunInfo {
  const info = attributes(data, 0)
  const flag = (type: number): boolean => (info.get(type)?.[0] ?? 0) !== 0
  return {
    type: info.get(IFLA_TUN_TYPE)?.[0] ?? 0,
    owner: info.has(IFLA_TUN_OWNER) ? u32Of(info.get(IFLA_TUN_OWNER), 0) : undefined,
    persistent: flag(IFLA_TUN_PERSIST),
    multiQueue: flag(IFLA_TUN_MULTI_QUEUE),
    queues:
      u32Of(info.get(IFLA_TUN_NUM_QUEUES), 0) + u32Of(info.get(IFLA_TUN_NUM_DISABLED_QUEUES), 0),
  }
}

function txDropped(stats: Uint8Array | undefined): number {
  if (stats === undefined) return 0
  return Number(viewOf(stats).getBigUint64(STATS64_TX_DROPPED, true))
}

function linkOf(message: Message): Link {
  const view = viewOf(message.body)
  const flags = view.getUint32(8, true)
  const attrs = attributes(message.body, IFINFOMSG_LEN)
  const info = attributes(attrs.get(IFLA_LINKINFO) ?? new Uint8Array(0), 0)
  const kind = stringOf(info.get(IFLA_INFO_KIND))
  const data = info.get(IFLA_INFO_DATA)
  return {
    index: view.getInt32(4, true),
    name: stringOf(attrs.get(IFLA_IFNAME)),
    kind,
    mtu: u32Of(attrs.get(IFLA_MTU), 0),
    txQueueLen: u32Of(attrs.get(IFLA_TXQLEN), 0),
    txDropped: txDropped(attrs.get(IFLA_STATS64)),
    mac: attrs.get(IFLA_ADDRESS) ?? new Uint8Array(6),
    master: u32Of(attrs.get(IFLA_MASTER), 0),
    type: view.getUint16(2, true),
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    tun: kind === 'tun' && data !== undefined ? tunInfo(data) : undefined,
  }
}

/** All interfaces, up or not. */
export function listLinks(): Link[] {
  const fixed = new Uint8Array(IFINFOMSG_LEN)
  return request('list interfaces', RTM_GETLINK, NLM_F_DUMP, fixed, NONE).map(linkOf)
}

/** All addresses of all interfaces, up or not. */
export function listAddresses(): LinkAddress[] {
  const fixed = new Uint8Array(IFADDRMSG_LEN)
  const found: LinkAddress[] = []
  for (const { body } of request('list addresses', RTM_GETADDR, NLM_F_DUMP, fixed, NONE)) {
    const attrs = attributes(body, IFADDRMSG_LEN)
    const bytes = attrs.get(IFA_LOCAL) ?? attrs.get(IFA_ADDRESS)
    if (bytes === undefined) continue
    found.push({ index: viewOf(body).getUint32(4, true), prefix: { bytes, len: body[1] } })
  }
  return found
}

/** Routes of the main table that lead to one interface. */
export function listRoutes(): Route[] {
  const fixed = new Uint8Array(RTMSG_LEN)
  const found: Route[] = []
  for (const { body } of request('list routes', RTM_GETROUTE, NLM_F_DUMP, fixed, NONE)) {
    const attrs = attributes(body, RTMSG_LEN)
    const oif = attrs.get(RTA_OIF)
    if (oif === undefined || u32Of(attrs.get(RTA_TABLE), body[4]) !== RT_TABLE_MAIN) continue
    const bytes = attrs.get(RTA_DST) ?? new Uint8Array(body[0] === 2 ? 4 : 16)
    found.push({ index: u32Of(oif, 0), prefix: { bytes, len: body[1] } })
  }
  return found
}

/**
 * Gives interface `index` the address; its subnet is then routed there while the interface is up.
 * An IPv6 address can be used at once: whoever else is on the link is the caller's business.
 */
export function addAddress(index: number, prefix: Prefix): void {
  const fixed = new Uint8Array(IFADDRMSG_LEN)
  fixed[0] = familyOf(prefix)
  fixed[1] = prefix.len
  fixed[2] = isIpv6Prefix(prefix) ? IFA_F_NODAD : 0
  viewOf(fixed).setUint32(4, index, true)
  const attrs = new Map([
    [IFA_LOCAL, prefix.bytes],
    [IFA_ADDRESS, prefix.bytes],
  ])
  request('add address', RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, fixed, attrs)
}

/** What `setLink` sets; what is left out stays as it is. */
export interface LinkChange {
  readonly up?: boolean
  readonly mtu?: number
  readonly txQueueLen?: number
  /** The index of the bridge to join. */
  readonly master?: number
}

/** Changes interface `index`. */
export function setLink(index: number, change: LinkChange): void {
  const fixed = new Uint8Array(IFINFOMSG_LEN)
  const view = viewOf(fixed)
  view.setInt32(4, index, true)
  if (change.up !== undefined) {
    view.setUint32(8, change.up ? IFF_UP : 0, true)
    view.setUint32(12, IFF_UP, true)
  }
  const attrs = new Map<number, Uint8Array>()
  if (change.mtu !== undefined) attrs.set(IFLA_MTU, u32(change.mtu))
  if (change.txQueueLen !== undefined) attrs.set(IFLA_TXQLEN, u32(change.txQueueLen))
  if (change.master !== undefined) attrs.set(IFLA_MASTER, u32(change.master))
  request('change interface', RTM_NEWLINK, NLM_F_ACK, fixed, attrs)
}
