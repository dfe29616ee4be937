/**
 * The Ethernet groups that an interface must let through for addresses of our own: neighbours ask
 * for an IPv6 address at its solicited-node group (RFC 4291 §2.7.1, RFC 2464 §7). ARP is broadcast.
 */

/** Six bytes each, of the addresses that are IPv6. */
export function groupMacs(addresses: readonly Uint8Array[]): Uint8Array[] {
  return addresses
    .filter(address => address.length === 16)
    .map(address => Uint8Array.of(0x33, 0x33, 0xff, ...address.subarray(13)))
}
