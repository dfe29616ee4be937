/**
 * An address with the length of its subnet, `10.77.0.1/24` (RFC 4632 §3.1) or `fd77::1/64` (RFC
 * 4291 §2.3), as the kernel's configuration messages want it: bytes in network order. Set-up only;
 * packets carry addresses as numbers.
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net'

/** linux/socket.h. */
const AF_INET = 2
const AF_INET6 = 10

export interface Prefix {
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array
  /** Leading bits that name the subnet. */
  readonly len: number
}

/** The address family of a prefix. */
export const familyOf = (prefix: Prefix): number => (prefix.bytes.length === 4 ? AF_INET : AF_INET6)

/** Reads `10.77.0.1/24`, `fd77::1/64`, or one address alone; undefined if it is no such thing. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (bytes === undefined) return undefined
  const bits = bytes.length * 8
  const length = slash < 0 ? String(bits) : text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(length) || Number(length) > bits) return undefined
  return { bytes, len: Number(length) }
}

function parseAddress(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number)
  // A zone ("%eth0") is an interface's name, not part of an address.
  return isIPv6(text) && !text.includes('%') ? parseIpv6(text) : undefined
}

/** RFC 4291 §2.2, of text that Node takes for IPv6. */
function parseIpv6(text: string): Uint8Array {
  const [head, tail] = text.split('::').map(groupsOf)
  const gap = tail === undefined ? 0 : 16 - head.length - tail.length
  return Uint8Array.from([...head, ...new Array<number>(gap).fill(0), ...(tail ?? [])])
}

/** `fd77:1` as four bytes; a dotted quad at the end is four as well. */
function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (group.includes('.')) return group.split('.').map(Number)
    const word = Number.parseInt(group, 16)
    return [word >> 8, word & 0xff]
  })
}

/** Is it an IPv6 address? */
export const isIpv6Prefix = (prefix: Prefix): boolean => prefix.bytes.length === 16

/** `10.77.0.1`, `fd77::1`. */
export function addressText(prefix: Prefix): string {
  if (familyOf(prefix) === AF_INET) return prefix.bytes.join('.')
  const hex = Buffer.from(prefix.bytes).toString('hex')
  const address = hex.replace(/(.{4})(?=.)/g, '$1:')
  return new SocketAddress({ family: 'ipv6', address }).address
}

/** `10.77.0.1/24`. */
export const prefixText = (prefix: Prefix): string => `${addressText(prefix)}/${prefix.len}`

/** The same address, whatever the subnets. */
export function isSameAddress(a: Prefix, b: Prefix): boolean {
  return a.bytes.length === b.bytes.length && a.bytes.every((byte, i) => byte === b.bytes[i])
}

/** The address alone, without its subnet. */
export const asOneAddress = (prefix: Prefix): Prefix => ({
  ...prefix,
  len: prefix.bytes.length * 8,
})

/** fe80::/10 */
export const isLinkLocal = ({ bytes }: Prefix): boolean =>
  bytes.length === 16 && bytes[0] === 0xfe && (bytes[1] & 0xc0) === 0x80

/** Do the two subnets share an address? Then one is inside the other. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  if (a.bytes.length !== b.bytes.length) return false
  const bits = Math.min(a.len, b.len)
  const whole = bits >> 3
  for (let i = 0; i < whole; i++) if (a.bytes[i] !== b.bytes[i]) return false
  const mask = 0xff00 >> (bits & 7)
  return (bits & 7) === 0 || ((a.bytes[whole] ^ b.bytes[whole]) & mask & 0xff) === 0
}
