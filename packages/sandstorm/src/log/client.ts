/** A client's address: from the kernel's text to the words that records keep, and back. */
import { ipv4, ipv4Address, ipv6, ipv6Address } from '@sandstorm/libtcpip'

/** An address in words; IPv4 lies in the first. */
export interface ClientAddress {
  readonly version: 4 | 6
  readonly w0: number
  readonly w1: number
  readonly w2: number
  readonly w3: number
}

const UNKNOWN: ClientAddress = { version: 4, w0: 0, w1: 0, w2: 0, w3: 0 }

/**
 * The address in a text as node:net has it (`remoteAddress`): `::ffff:10.0.0.1` is that of an IPv4
 * client, a zone (`%eth0`) is dropped, and what is no address, or undefined since the socket is
 * gone, becomes 0.0.0.0.
 */
export function clientAddress(text: string | undefined): ClientAddress {
  if (text === undefined) return UNKNOWN
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)
  try {
    if (mapped !== null) return ipv4Address(mapped[1])
    return text.includes(':') ? ipv6Address(text.split('%')[0]) : ipv4Address(text)
  } catch {
    return UNKNOWN
  }
}

/** As text: `10.77.0.1`, `fd77::1` (RFC 5952). */
export function clientText(client: Omit<ClientAddress, 'version'> & { version: number }): string {
  const { version, w0, w1, w2, w3 } = client
  return version === 6 ? ipv6.formatAddress(w0, w1, w2, w3) : ipv4.formatAddress(w0)
}
