/**
 * The IPv4 side of our own stack's link, as `serve` was asked for it: checked once, here, like the
 * rest of the configuration (config.ts). link6.ts is its sibling.
 */
import { ADDRESSES_MAX } from '@sandstorm/libtcpip'
import { ConfigError, UserError } from './cli/errors.ts'
import {
  formatIpv4,
  type Ipv4Prefix,
  isUnicast,
  parseIpv4,
  parseIpv4Prefix,
  usableRange,
} from './cli/ipv4.ts'

export const TAP_ADDRESS = '10.77.0.2'
export const TAP_HOST_ADDRESS = '10.77.0.1'
export const TAP_PREFIX_LEN = 24

/** An IPv4 address of ours and the length of its subnet's prefix. */
export interface OwnAddress {
  readonly address: string
  readonly prefixLen: number
}

/** Its first address and subnet; '': those of the interface. */
export interface Link4 extends OwnAddress {
  /** The host's end of a TAP, else ''. */
  readonly hostAddress: string
  /**
   * Further addresses of ours, and the router to everybody who is in none of their subnets; '':
   * none.
   */
  readonly others: readonly OwnAddress[]
  readonly gateway: string
}

/** The flags as they were typed. */
export interface Link4Flags {
  readonly address?: readonly string[]
  readonly hostAddress?: string
  readonly gateway?: string
}

export const NO_LINK4: Link4 = {
  address: '',
  prefixLen: 0,
  hostAddress: '',
  others: [],
  gateway: '',
}

/**
 * Our own stack's addresses. Unless the link is there already, the first is on one with the host,
 * whose own end comes with it. `mayShare`: it may be an interface's, whose neighbours are the
 * kernel's to know.
 */
export function checkLink4(raw: Link4Flags, isOnLink: boolean, mayShare: boolean): Link4 {
  const [first, ...rest] = raw.address ?? []
  if (isOnLink && first === undefined) return { ...NO_LINK4, gateway: checkFreeGateway(raw) }
  const ours = checkAddress(first ?? `${TAP_ADDRESS}/${TAP_PREFIX_LEN}`, mayShare ? 32 : 31)
  const others = rest.map(text => checkAddress(text, 32))
  const all = [ours, ...others]
  if (all.length > ADDRESSES_MAX)
    throw new ConfigError('--address', rest.at(-1) ?? '', 'too many', `${ADDRESSES_MAX} at most`)
  const host = isOnLink ? 0 : checkHostAddress(raw.hostAddress, ours)
  for (const { address } of others)
    if (address === host || all.filter(one => one.address === address).length > 1) {
      const why = address === host ? "the host's own address" : 'given twice'
      throw new ConfigError('--address', formatIpv4(address), why, 'different addresses')
    }
  return {
    ...asText(ours),
    hostAddress: isOnLink ? '' : formatIpv4(host),
    others: others.map(asText),
    gateway: raw.gateway === undefined ? '' : checkGateway(raw.gateway, all),
  }
}

/**
 * Without an address of our own the routes are the kernel's, and answers go back the way they came.
 */
function checkFreeGateway({ gateway }: Link4Flags): string {
  if (gateway === undefined) return ''
  const why = 'the interface shares its addresses, and answers go back the way the request came'
  throw new UserError('--gateway', why, 'Leave it out, or give an --address of our own')
}

const asText = ({ address, prefixLen }: Ipv4Prefix): OwnAddress => ({
  address: formatIpv4(address),
  prefixLen,
})

/** An address of ours with its subnet, whose prefix has at most `longest` bits. */
function checkAddress(text: string, longest: number): Ipv4Prefix {
  const flag = '--address'
  const ours = parseIpv4Prefix(text)
  if (ours === undefined)
    throw new ConfigError(flag, text, 'not an IPv4 address', 'one like 10.77.0.2/24')
  const prefixLen = ours.prefixLen < 0 ? TAP_PREFIX_LEN : ours.prefixLen
  if (prefixLen < 8 || prefixLen > longest)
    throw new ConfigError(flag, text, 'no subnet for two hosts', `a length from /8 to /${longest}`)
  if (!isUnicast(ours.address))
    throw new ConfigError(flag, text, 'no host on a link has that', 'one like 10.77.0.2/24')
  if (!isInSubnet(ours.address, { ...ours, prefixLen }))
    throw new ConfigError(
      flag,
      text,
      "the subnet's own or broadcast address",
      rangeText(ours.address, prefixLen),
    )
  return { address: ours.address, prefixLen }
}

/** May a host of the subnet have this address? */
function isInSubnet(address: number, subnet: Ipv4Prefix): boolean {
  const [first, last] = usableRange(subnet.address, subnet.prefixLen)
  return address >= first && address <= last
}

function rangeText(address: number, prefixLen: number): string {
  const [first, last] = usableRange(address, prefixLen)
  return `${formatIpv4(first)} to ${formatIpv4(last)}`
}

/** The first hop to everybody else: a host on one of our subnets. */
function checkGateway(text: string, all: readonly Ipv4Prefix[]): string {
  const flag = '--gateway'
  const gateway = parseIpv4(text)
  if (gateway === undefined)
    throw new ConfigError(flag, text, 'not an IPv4 address', 'one like 10.77.0.1')
  if (all.some(({ address }) => address === gateway))
    throw new ConfigError(flag, text, 'an address of ours', 'that of a router')
  if (!all.some(subnet => isInSubnet(gateway, subnet)))
    throw new ConfigError(
      flag,
      text,
      'in no subnet of ours',
      'a router on a subnet of an --address',
    )
  return formatIpv4(gateway)
}

/** The host's end of the link: as given, else the first other address of the subnet. */
function checkHostAddress(text: string | undefined, link: Ipv4Prefix): number {
  const flag = '--host-address'
  const { address: ours, prefixLen } = link
  const [first] = usableRange(ours, prefixLen)
  if (text === undefined) return ours === first ? first + 1 : first
  const host = parseIpv4Prefix(text)
  if (host === undefined)
    throw new ConfigError(flag, text, 'not an IPv4 address', 'one like 10.77.0.1/24')
  if (host.prefixLen >= 0 && host.prefixLen !== prefixLen)
    throw new ConfigError(flag, text, 'not the prefix length of --address', `/${prefixLen}`)
  if (host.address === ours)
    throw new ConfigError(flag, text, 'the same as --address', 'two different addresses')
  if (!isInSubnet(host.address, link))
    throw new ConfigError(flag, text, 'not in the subnet of --address', rangeText(ours, prefixLen))
  return host.address
}
