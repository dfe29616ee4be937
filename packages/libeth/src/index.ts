export { Arp, type ArpOptions } from './arp.ts'
export * as arpPacket from './arpPacket.ts'
export type { ArpPort, ArpStats } from './arpSender.ts'
export {
  ARP_BAD_SENDER_IP,
  ARP_BAD_SENDER_MAC,
  ARP_CONFLICT,
  ARP_HARDWARE,
  ARP_LENGTHS,
  ARP_NO_TX_SPACE,
  ARP_NOT_OURS,
  ARP_OPERATION,
  ARP_OWN,
  ARP_PROBING,
  ARP_PROTOCOL,
  ARP_TABLE_FULL,
  ARP_TRUNCATED,
  ARP_UNSOLICITED,
  ETH_BAD_SOURCE,
  ETH_DROP_NAMES,
  ETH_LENGTH,
  ETH_NOT_OURS,
  ETH_TRUNCATED,
  ETH_TYPE,
  ETH_VLAN,
  OK,
} from './drops.ts'
export * as ethernet from './ethernet.ts'
export { NO_NEIGHBOUR } from './neighbourTable.ts'
export { netmask, type OwnAddress } from './ownAddresses.ts'
