/**
 * Why a frame was dropped, link layer part: reasons 1 … 31 (libtcpip continues at 32). A reason is
 * a small number, so that counting one is `drops[reason]++`; its name is for people and metrics.
 *
 * Invariant: nothing from the wire throws, and every frame not taken is counted under one reason.
 */

/** Not a drop: the frame was taken. */
export const OK = 0
/** Shorter than an Ethernet header. */
export const ETH_TRUNCATED = 1
/**
 * 802.1Q, 802.1ad or QinQ tag that is still there: the frame is of a VLAN, and none is known here.
 */
export const ETH_VLAN = 2
/** An IEEE 802.3 length where Ethernet II has a type (LLC, spanning tree). */
export const ETH_LENGTH = 3
/** The source address is a group address. */
export const ETH_BAD_SOURCE = 4
/** A type that nobody here speaks. */
export const ETH_TYPE = 5
/** Sent to another station (a promiscuous device, a flooding switch). */
export const ETH_NOT_OURS = 6
export const ARP_TRUNCATED = 7
/** Hardware type other than Ethernet. */
export const ARP_HARDWARE = 8
/** Protocol type other than IPv4. */
export const ARP_PROTOCOL = 9
/** Address lengths other than 6 and 4. */
export const ARP_LENGTHS = 10
/** Neither request nor reply. */
export const ARP_OPERATION = 11
/** The sender's hardware address is zero, a group address, or broadcast. */
export const ARP_BAD_SENDER_MAC = 12
/** The sender's IP address cannot be a host's. */
export const ARP_BAD_SENDER_IP = 13
/** Our own frame came back. */
export const ARP_OWN = 14
/** Somebody else uses, or is about to use, our address (RFC 5227 §2.4). */
export const ARP_CONFLICT = 15
/** Between others, and about nobody in our table. */
export const ARP_NOT_OURS = 16
/** A reply to a question that we did not ask. */
export const ARP_UNSOLICITED = 17
/** A request that went unanswered: no ring space or no frame. */
export const ARP_NO_TX_SPACE = 18
/** A request for an address that we are still probing (RFC 5227 §2.1). */
export const ARP_PROBING = 19
/** Answered, but the asker was not learned: every entry it could have is in use. */
export const ARP_TABLE_FULL = 20

/** Names by reason; index 0 is `ok`. */
export const ETH_DROP_NAMES: readonly string[] = [
  'ok',
  'eth-truncated',
  'eth-vlan',
  'eth-length',
  'eth-bad-source',
  'eth-type',
  'eth-not-ours',
  'arp-truncated',
  'arp-hardware',
  'arp-protocol',
  'arp-lengths',
  'arp-operation',
  'arp-bad-sender-mac',
  'arp-bad-sender-ip',
  'arp-own',
  'arp-conflict',
  'arp-not-ours',
  'arp-unsolicited',
  'arp-no-tx-space',
  'arp-probing',
  'arp-table-full',
]
