/**
 * Why a frame was dropped, IP and above: reasons 32 … 127 (libeth has 1 … 31). A reason is a small
 * number, so that counting one is `drops[reason]++`; its name is for people and metrics.
 *
 * Invariant: nothing from the wire throws, and every packet not taken is counted under one reason.
 */
import { ETH_DROP_NAMES } from '@sandstorm/libeth'

const FIRST = 32

/** Shorter than an IPv4 header. */
export const IP_TRUNCATED = 32
/** The version field is not 4. */
export const IP_VERSION = 33
/** The header length is under 20 bytes or beyond the packet. */
export const IP_HEADER_LEN = 34
/** The total length is under the header length or beyond the frame. */
export const IP_TOTAL_LEN = 35
export const IP_CHECKSUM = 36
/** A fragment: there is no reassembly. */
export const IP_FRAGMENT = 37
/** Loose or strict source route: refused, as everywhere (RFC 7126 §4.3). */
export const IP_OPTIONS_SOURCE_ROUTE = 38
/** An option whose length is impossible. */
export const IP_OPTIONS_MALFORMED = 39
/** A source address that no host can have (RFC 1122 §3.2.1.3), or of ours. */
export const IP_BAD_SOURCE = 40
/** Addressed to another host. */
export const IP_NOT_OURS = 41
/** Broadcast or multicast, where only unicast is served. */
export const IP_BROADCAST = 42
/** A protocol that nobody here speaks. */
export const IP_PROTOCOL = 43
export const ICMP_TRUNCATED = 44
export const ICMP_CHECKSUM = 45
/** A type that is not answered. */
export const ICMP_TYPE = 46
/** Shorter than a TCP header. */
export const TCP_TRUNCATED = 47
/** The header length is under 20 bytes or beyond the segment. */
export const TCP_HEADER_LEN = 48
export const TCP_CHECKSUM = 49
export const TCP_PORT_ZERO = 50
/** No connection, and no listener on the port: answered with RST. */
export const TCP_NO_LISTENER = 51
/** No connection for a segment that cannot begin one. */
export const TCP_NO_CONNECTION = 52
/** Too many connections not yet established, and no room for a cookie. */
export const TCP_BACKLOG_FULL = 53
/** No TCB left. */
export const TCP_TABLE_FULL = 54
/** Outside the receive window (RFC 9293 §3.10.7.4). */
export const TCP_OUT_OF_WINDOW = 55
/** Acknowledges what was never sent, or is far too old (RFC 5961 §5). */
export const TCP_BAD_ACK = 56
/** Arrived before its predecessor. */
export const TCP_OUT_OF_ORDER = 57
/** An RST that RFC 5961 §3 does not accept. */
export const TCP_RST_IGNORED = 58
/** A SYN inside a connection: challenged (RFC 5961 §4). */
export const TCP_SYN_IGNORED = 59
/** From our own address and port (the LAND attack). */
export const TCP_LAND = 60
/** Neither SYN, ACK nor RST, or contradictory flags. */
export const TCP_BAD_FLAGS = 61
/** Data after the connection stopped receiving. */
export const TCP_DATA_AFTER_CLOSE = 62
/** The answer found no room in the device's ring. */
export const NO_TX_SPACE = 63
/** The answer found no free frame. */
export const NO_FRAME_LEFT = 64
/** From beyond our subnet, and there is no gateway to answer through. */
export const IP_NO_ROUTE = 65
/** An old duplicate, by its timestamp (PAWS, RFC 7323 §5). */
export const TCP_PAWS = 66
/** Without timestamps, though both sides agreed to send them (RFC 7323 §3.2). */
export const TCP_NO_TIMESTAMP = 67
/** Shorter than an IPv6 header. */
export const IP6_TRUNCATED = 68
/** The version field is not 6. */
export const IP6_VERSION = 69
/** The payload length is beyond the frame. */
export const IP6_PAYLOAD_LEN = 70
/** A source address that no host can have, or :: where only a host may speak (RFC 4291 §2.5). */
export const IP6_BAD_SOURCE = 71
/** Addressed to another host, or to a group that we are not in. */
export const IP6_NOT_OURS = 72
/** Multicast, where only unicast is served. */
export const IP6_MULTICAST = 73
/** An extension header that is malformed, or too many of them (RFC 8504 §5.3). */
export const IP6_EXTENSION = 74
/** An unknown option whose sender wants the packet discarded then (RFC 8200 §4.2). */
export const IP6_OPTION = 75
/** A routing header with segments left (RFC 8200 §4.4, RFC 5095). */
export const IP6_ROUTING_HEADER = 76
/** A fragment: there is no reassembly; of neighbour discovery not even a whole one is taken. */
export const IP6_FRAGMENT = 77
/** A next header that nobody here speaks. */
export const IP6_PROTOCOL = 78
/** Its headers end with "no next header": there is nothing to take. */
export const IP6_NO_NEXT_HEADER = 79
export const ICMP6_TRUNCATED = 80
export const ICMP6_CHECKSUM = 81
/** A type that is not answered. */
export const ICMP6_TYPE = 82
/** An error about a packet that we did not send, or too little of it (RFC 5927 §4). */
export const ICMP6_NOT_ABOUT_US = 83
/** A packet too big that names less than 1280 bytes (RFC 8201 §4). */
export const ICMP6_MTU = 84
/** Sent through a router: no neighbour's (RFC 4861 §7.1). */
export const NDP_HOP_LIMIT = 85
/** The code is not 0. */
export const NDP_CODE = 86
export const NDP_TRUNCATED = 87
/** An option of length 0, beyond the message, or not as long as its kind. */
export const NDP_OPTION_LENGTH = 88
/** A multicast target, or a source, destination and flags that contradict each other. */
export const NDP_ADDRESSES = 89
/** A hardware address that is zero or a group's. */
export const NDP_BAD_MAC = 90
/** Our own message came back. */
export const NDP_OWN = 91
/** Somebody else has, or wants, an address of ours (RFC 4862 §5.4). */
export const NDP_CONFLICT = 92
/** Asks for an address of ours that is not yet known to be unique (RFC 4862 §5.4). */
export const NDP_TENTATIVE = 93
/** Asks for an address that is not ours, or that the host's kernel answers for. */
export const NDP_NOT_OURS = 94
/** An advertisement about nobody in our table, or without what we asked for. */
export const NDP_UNSOLICITED = 95
/** Answered, but the asker was not learned: every entry it could have is in use. */
export const NDP_TABLE_FULL = 96
/** Router solicitation or advertisement: configuration is static. */
export const NDP_ROUTER = 97
/** A redirect: the first hop is configured. */
export const NDP_REDIRECT = 98
/** A multicast listener query that no router of this link sent (RFC 3810 §5.1.14). */
export const MLD_BAD_QUERY = 99
/** The source has as many connections as one may have. */
export const TCP_SOURCE_FULL = 100
/** A request to send less: ignored (RFC 6633). */
export const ICMP_SOURCE_QUENCH = 101
/** A redirect: the first hop is configured. */
export const ICMP_REDIRECT = 102
/** An error about a packet that we did not send, or too little of it (RFC 5927 §4). */
export const ICMP_NOT_ABOUT_US = 103
/** An ICMP error about a segment that is not in flight (RFC 5927 §4.1). */
export const TCP_ICMP_STRAY = 104
/** An ICMP error that a connection survives. */
export const TCP_ICMP_SOFT = 105
/** "Too big" about packets that are no larger than it asks for. */
export const TCP_ICMP_MTU = 106
/** Shorter than a UDP header, or than its own length says. */
export const UDP_LENGTH = 107
/** A wrong checksum, or over IPv6 none (RFC 1122 §4.1.3.4, RFC 8200 §8.1). */
export const UDP_CHECKSUM = 108

const NAMES: readonly string[] = [
  'ip-truncated',
  'ip-version',
  'ip-header-len',
  'ip-total-len',
  'ip-checksum',
  'ip-fragment',
  'ip-options-source-route',
  'ip-options-malformed',
  'ip-bad-source',
  'ip-not-ours',
  'ip-broadcast',
  'ip-protocol',
  'icmp-truncated',
  'icmp-checksum',
  'icmp-type',
  'tcp-truncated',
  'tcp-header-len',
  'tcp-checksum',
  'tcp-port-zero',
  'tcp-no-listener',
  'tcp-no-connection',
  'tcp-backlog-full',
  'tcp-table-full',
  'tcp-out-of-window',
  'tcp-bad-ack',
  'tcp-out-of-order',
  'tcp-rst-ignored',
  'tcp-syn-ignored',
  'tcp-land',
  'tcp-bad-flags',
  'tcp-data-after-close',
  'no-tx-space',
  'no-frame-left',
  'ip-no-route',
  'tcp-paws',
  'tcp-no-timestamp',
  'ip6-truncated',
  'ip6-version',
  'ip6-payload-len',
  'ip6-bad-source',
  'ip6-not-ours',
  'ip6-multicast',
  'ip6-extension',
  'ip6-option',
  'ip6-routing-header',
  'ip6-fragment',
  'ip6-protocol',
  'ip6-no-next-header',
  'icmp6-truncated',
  'icmp6-checksum',
  'icmp6-type',
  'icmp6-not-about-us',
  'icmp6-mtu',
  'ndp-hop-limit',
  'ndp-code',
  'ndp-truncated',
  'ndp-option-length',
  'ndp-addresses',
  'ndp-bad-mac',
  'ndp-own',
  'ndp-conflict',
  'ndp-tentative',
  'ndp-not-ours',
  'ndp-unsolicited',
  'ndp-table-full',
  'ndp-router',
  'ndp-redirect',
  'mld-bad-query',
  'tcp-source-full',
  'icmp-source-quench',
  'icmp-redirect',
  'icmp-not-about-us',
  'tcp-icmp-stray',
  'tcp-icmp-soft',
  'tcp-icmp-mtu',
  'udp-length',
  'udp-checksum',
]

/** Names by reason, libeth's included; '' where a number is not in use. */
export const DROP_NAMES: readonly string[] = [
  ...ETH_DROP_NAMES,
  ...new Array<string>(FIRST - ETH_DROP_NAMES.length).fill(''),
  ...NAMES,
]

/** One more than the highest reason: the size of a table of counters. */
export const DROP_COUNT: number = DROP_NAMES.length
