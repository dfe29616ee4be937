/** Our addresses, as a packet thread is told them, for its stack. */
import {
  type IpAddress,
  ipv4,
  ipv4Address,
  ipv6,
  ipv6Address,
  type StackOptions,
  withLinkLocal,
} from '@sandstorm/libtcpip'

/** `10.77.0.2/24` or `fd77::2/64`; a gateway has no prefix. */
export function parseAddress(text: string): IpAddress {
  const [address, prefixLen] = text.split('/')
  const parse = address.includes(':') ? ipv6Address : ipv4Address
  return prefixLen === undefined ? parse(address) : parse(address, Number(prefixLen))
}

/**
 * Those of a stack, of which there are `count` on the device: whoever speaks for our addresses has
 * a link-local one too, and so have the others.
 */
export function stackAddresses(
  texts: readonly string[],
  count: number,
  mac: Uint8Array,
): readonly IpAddress[] {
  const all = texts.map(parseAddress)
  return count > 1 ? withLinkLocal(all, mac) : all
}

/** As people write it, without a prefix. */
export const addressText = ({ version, w0, w1, w2, w3 }: IpAddress): string =>
  version === 4 ? ipv4.formatAddress(w0) : ipv6.formatAddress(w0, w1, w2, w3)

/**
 * Whether a stack asks its neighbours for its own addresses before it uses them. `found`: the states
 * that a thread left which has died (Stack); where all were in use, they are ours already.
 */
export function askingForOwn(
  asks: boolean,
  found?: SharedArrayBuffer,
): Pick<StackOptions, 'arp' | 'ndp'> {
  const areOurs = found !== undefined && new Uint8Array(found).every(state => state === 0)
  return asks && !areOurs ? {} : { arp: { probes: 0 }, ndp: { dadTransmits: 0 } }
}
