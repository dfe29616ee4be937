/**
 * IPv4 addresses and prefixes of the command line (RFC 4632 §3.1 notation). An address is a number
 * from 0 to 2^32 - 1 here; the stack has its own, faster idea of one.
 */

/** An address and the length of its subnet's prefix; -1: none was given. */
export interface Ipv4Prefix {
  readonly address: number
  readonly prefixLen: number
}

/** Four decimal numbers without leading zeros, or undefined. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let address = 0
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    address = address * 256 + Number(part)
  }
  return address
}

/** `ADDRESS` or `ADDRESS/LEN`, or undefined. */
export function parseIpv4Prefix(text: string): Ipv4Prefix | undefined {
  const [, addressText, lenText] = /^([^/]*)(?:\/(\d{1,2}))?$/.exec(text) ?? []
  const address = parseIpv4(addressText ?? '')
  const prefixLen = lenText === undefined ? -1 : Number(lenText)
  return address === undefined || prefixLen > 32 ? undefined : { address, prefixLen }
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map(shift => (address >>> shift) & 255).join('.')
}

/** First and last address that a host of the subnet may have (RFC 3021: a /31 has no broadcast). */
export function usableRange(address: number, prefixLen: number): [first: number, last: number] {
  const size = 2 ** (32 - prefixLen)
  const first = Math.floor(address / size) * size
  return prefixLen >= 31 ? [first, first + size - 1] : [first + 1, first + size - 2]
}

/** An address that one host may have: not 0/8, not 127/8, not multicast or reserved (RFC 6890). */
export function isUnicast(address: number): boolean {
  const top = Math.floor(address / 2 ** 24)
  return top > 0 && top !== 127 && top < 224
}
