/**
 * IPv6 addresses and prefixes of the command line (RFC 4291 §2.3 notation). An address is four
 * int32 words, as in the stack.
 */
import { ipv6 } from '@sandstorm/libtcpip'

/** An address and the length of its subnet's prefix; -1: none was given. */
export interface Ipv6Prefix {
  readonly words: Int32Array
  readonly prefixLen: number
}

/** An address as RFC 5952 writes it, any case and any form read; a zone is no part of it. */
export function parseIpv6(text: string): Int32Array | undefined {
  try {
    return ipv6.parse(text)
  } catch {
    return undefined
  }
}

/** `ADDRESS` or `ADDRESS/LEN`, or undefined. */
export function parseIpv6Prefix(text: string): Ipv6Prefix | undefined {
  const [, addressText, lenText] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const words = addressText === undefined ? undefined : parseIpv6(addressText)
  const prefixLen = lenText === undefined ? -1 : Number(lenText)
  return words === undefined || prefixLen > 128 ? undefined : { words, prefixLen }
}

export const formatIpv6 = (words: Int32Array): string =>
  ipv6.formatAddress(words[0], words[1], words[2], words[3])

/** `fd77::2/64`. */
export const formatIpv6Prefix = ({ words, prefixLen }: Ipv6Prefix): string =>
  `${formatIpv6(words)}/${prefixLen}`

export const isSameIpv6 = (a: Int32Array, b: Int32Array): boolean => a.every((w, i) => w === b[i])

/** The subnet that the address is in, as an address: all host bits 0. */
export const subnetOf = ({ words, prefixLen }: Ipv6Prefix): Int32Array =>
  words.map((word, i) => {
    const bits = Math.min(Math.max(prefixLen - 32 * i, 0), 32)
    return bits === 0 ? 0 : word & (-1 << (32 - bits))
  })

export const isInSubnet = (words: Int32Array, subnet: Ipv6Prefix): boolean =>
  isSameIpv6(subnetOf({ words, prefixLen: subnet.prefixLen }), subnetOf(subnet))

/** The first address of a subnet that a host may have and none of `taken` is. */
export function firstFree(subnet: Ipv6Prefix, taken: readonly Int32Array[]): Int32Array {
  const words = subnetOf(subnet)
  do words[3]++
  while (taken.some(other => isSameIpv6(words, other)))
  return words
}

/**
 * An address that one host may have: no group, not ::, ::1, ::/96 or IPv4-mapped (RFC 4291 §2.4).
 */
export const isUnicastIpv6 = (words: Int32Array): boolean =>
  !ipv6.isBadSource(words[0], words[1], words[2])

export const isLinkLocalIpv6 = (words: Int32Array): boolean => ipv6.isLinkLocal(words[0])
