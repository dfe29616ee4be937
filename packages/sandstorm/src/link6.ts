/**
 * The IPv6 side of our own stack's link, as `serve` was asked for it: checked once, here, like the
 * rest of the configuration (config.ts). Addresses are text in RFC 5952's form, with their prefix
 * lengths, so that they can be posted to a worker.
 */
import { ADDRESSES_MAX } from '@sandstorm/libtcpip'
import { ConfigError, UserError } from './cli/errors.ts'
import {
  firstFree,
  formatIpv6,
  formatIpv6Prefix,
  type Ipv6Prefix,
  isInSubnet,
  isLinkLocalIpv6,
  isSameIpv6,
  isUnicastIpv6,
  parseIpv6,
  parseIpv6Prefix,
  subnetOf,
} from './cli/ipv6.ts'

/** Every link with IPv6 takes packets of this size (RFC 8200 §5). */
export const IPV6_MTU_MIN = 1280
export const TAP_ADDRESS6 = 'fd77::2'
/** The host's end of the default TAP. */
export const TAP_HOST_ADDRESS6 = 'fd77::1'
export const TAP_PREFIX_LEN6 = 64

export interface Link6 {
  /** Ours, `fd77::2/64`; none: no IPv6. */
  readonly addresses: readonly string[]
  /** The host's end of the link, likewise. */
  readonly hostAddresses: readonly string[]
  /** The way to everybody else, without a length; '': none. */
  readonly gateway: string
  /** Nobody asked for it: where it cannot be had, serving goes on without. */
  readonly isDefault: boolean
}

/** The flags as they were typed. */
export interface Link6Flags {
  readonly address?: readonly string[]
  readonly address6?: readonly string[]
  readonly hostAddress6?: readonly string[]
  readonly gateway6?: string
}

export const NO_LINK6: Link6 = { addresses: [], hostAddresses: [], gateway: '', isDefault: true }

/**
 * By default the link that comes with the default IPv4 address has an IPv6 address as well; whoever
 * chooses that address chooses this one too, or does without.
 */
export function checkLink6(flags: Link6Flags, mtu: number, isOnNic = false): Link6 {
  const { address6, hostAddress6, gateway6 } = flags
  const isDefault = address6 === undefined && hostAddress6 === undefined && gateway6 === undefined
  if (isOnNic && address6 === undefined) return checkNoAddress6(flags)
  if (isDefault && (flags.address !== undefined || mtu < IPV6_MTU_MIN)) return NO_LINK6
  if (mtu !== 0 && mtu < IPV6_MTU_MIN) {
    const why = `less than IPv6 needs (${flagOf(flags)})`
    throw new ConfigError('--mtu', String(mtu), why, `at least ${IPV6_MTU_MIN}`)
  }
  const ours = (address6 ?? [`${TAP_ADDRESS6}/${TAP_PREFIX_LEN6}`]).map(checkAddress)
  checkSet(ours, flags.address?.length ?? 1)
  const given = hostAddress6?.map(text => checkHostAddress(text, ours))
  const hosts = given ?? (isOnNic ? [] : defaultHosts(ours))
  return {
    addresses: ours.map(formatIpv6Prefix),
    hostAddresses: hosts.map(formatIpv6Prefix),
    gateway: gateway6 === undefined ? '' : checkGateway(gateway6, ours),
    isDefault,
  }
}

/**
 * On an interface that is there: its own addresses, or none of IPv6 beside an --address of ours.
 */
function checkNoAddress6({ gateway6 }: Link6Flags): Link6 {
  if (gateway6 === undefined) return NO_LINK6
  throw new UserError('--gateway6', 'without an address of ours', 'Give an --address6 as well')
}

function flagOf({ address6, hostAddress6 }: Link6Flags): string {
  if (address6 !== undefined) return '--address6'
  return hostAddress6 !== undefined ? '--host-address6' : '--gateway6'
}

const EXAMPLE = 'one like fd77::2/64'

function checkAddress(text: string): Ipv6Prefix {
  const flag = '--address6'
  const given = parseIpv6Prefix(text)
  if (given === undefined) throw new ConfigError(flag, text, 'not an IPv6 address', EXAMPLE)
  const prefixLen = given.prefixLen < 0 ? TAP_PREFIX_LEN6 : given.prefixLen
  const address = { words: given.words, prefixLen }
  if (prefixLen < 8 || prefixLen > 127)
    throw new ConfigError(flag, text, 'no subnet for two hosts', 'a length from /8 to /127')
  if (!isUnicastIpv6(address.words))
    throw new ConfigError(flag, text, 'no host on a link has that', EXAMPLE)
  if (isRouters(address))
    throw new ConfigError(flag, text, "the address of the subnet's routers", EXAMPLE)
  return address
}

/** RFC 4291 §2.6.1: all host bits 0, but where there are only two addresses (RFC 6164). */
const isRouters = (address: Ipv6Prefix): boolean =>
  address.prefixLen < 127 && isSameIpv6(address.words, subnetOf(address))

/** The stack has one limit for all addresses: `count4` of IPv4, these, and a link-local one. */
function checkSet(ours: readonly Ipv6Prefix[], count4: number): void {
  const flag = '--address6'
  const most = ADDRESSES_MAX - 1 - count4
  if (ours.length > most) {
    const expected = `at most ${most} besides ${count4} of IPv4`
    throw new ConfigError(flag, formatIpv6Prefix(ours[Math.max(most, 0)]), 'too many', expected)
  }
  const double = ours.find((a, i) => ours.slice(0, i).some(b => isSameIpv6(a.words, b.words)))
  if (double !== undefined)
    throw new ConfigError(flag, formatIpv6Prefix(double), 'given twice', 'each address once')
}

/** One for each subnet; of link-local addresses the host has its own. */
function defaultHosts(ours: readonly Ipv6Prefix[]): Ipv6Prefix[] {
  const taken = ours.map(({ words }) => words)
  const subnets = ours.filter(
    (a, i) =>
      !isLinkLocalIpv6(a.words) && !ours.slice(0, i).some(before => isInSubnet(a.words, before)),
  )
  return subnets.map(a => ({ words: firstFree(a, taken), prefixLen: a.prefixLen }))
}

function checkHostAddress(text: string, ours: readonly Ipv6Prefix[]): Ipv6Prefix {
  const flag = '--host-address6'
  const host = parseIpv6Prefix(text)
  if (host === undefined || !isUnicastIpv6(host.words))
    throw new ConfigError(flag, text, 'not an IPv6 address of a host', 'one like fd77::1/64')
  if (ours.some(({ words }) => isSameIpv6(words, host.words)))
    throw new ConfigError(flag, text, 'the same as --address6', 'two different addresses')
  const subnet = ours.find(address => isInSubnet(host.words, address))
  const subnets = ours.map(a => formatIpv6Prefix({ ...a, words: subnetOf(a) })).join(', ')
  if (subnet === undefined)
    throw new ConfigError(flag, text, 'not in a subnet of --address6', `an address in ${subnets}`)
  const { prefixLen } = subnet
  if (host.prefixLen >= 0 && host.prefixLen !== prefixLen)
    throw new ConfigError(flag, text, 'not the prefix length of --address6', `/${prefixLen}`)
  return { words: host.words, prefixLen }
}

function checkGateway(text: string, ours: readonly Ipv6Prefix[]): string {
  const flag = '--gateway6'
  const words = parseIpv6(text)
  const example = 'one like fd77::1, or fe80::1'
  if (words === undefined || !isUnicastIpv6(words))
    throw new ConfigError(flag, text, 'not an IPv6 address of a host', example)
  if (ours.some(address => isSameIpv6(words, address.words)))
    throw new ConfigError(flag, text, 'our own address', example)
  const onLink = isLinkLocalIpv6(words) || ours.some(address => isInSubnet(words, address))
  if (!onLink)
    throw new ConfigError(flag, text, 'not on our link', `an address in a subnet of --address6`)
  return formatIpv6(words)
}
