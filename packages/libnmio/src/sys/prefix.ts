/**
 * An address with the length of its subnet, `10.77.0.1/24` (RFC 4632 §3.1), as the kernel's
 * configuration messages want it: bytes in network order. Set-up only; packets carry addresses as
 * numbers.
 */
import { isIPv4, SocketAddress } from 'node:net'

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

/** Reads `10.77.0.1/24` or `10.77.0.1` (one address alone); undefined if it is no such thing. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  if (!isIPv4(address)) return undefined
  const length = slash < 0 ? '32' : text.slice(slash + 1)
  if (!/^\d{1,2}$/.test(length) || Number(length) > 32) return undefined
  return { bytes: Uint8Array.from(address.split('.'), Number), len: Number(length) }
}

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

/** Do the two subnets share an address? Then one is inside the other. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  if (a.bytes.length !== b.bytes.length) return false
  const bits = Math.min(a.len, b.len)
  const whole = bits >> 3
  for (let i = 0; i < whole; i++) if (a.bytes[i] !== b.bytes[i]) return false
  const mask = 0xff00 >> (bits & 7)
  return (bits & 7) === 0 || ((a.bytes[whole] ^ b.bytes[whole]) & mask & 0xff) === 0
}
