/**
 * The two ends of a connection, read from a row (row.ts), and as text. The only file here that
 * knows how a TCB keeps addresses and ports: of ours it has but the place in a list (addresses.ts).
 */
import { ipv4, ipv6, type Stack, tcb } from '@sandstorm/libtcpip'

/** Words of our address in a row; IPv4 lies in the first. */
export const LOCAL_WORDS = 4

/** An address as text, and a port. */
export interface Endpoint {
  readonly address: string
  readonly port: number
}

/** Writes our address on connection `c` to `rows` from `at` on. */
export function writeLocal(stack: Stack, c: number, rows: Int32Array, at: number): void {
  const local = tcb.localOf(stack.tcp.tcb[c + tcb.FRAME_KEY])
  for (let i = 0; i < LOCAL_WORDS; i++) rows[at + i] = stack.addresses.word(local, i)
}

/** Our end of the row at `r`; `at`: where `writeLocal` wrote. */
export const localEnd = (rows: Int32Array, r: number, at: number): Endpoint => ({
  address: addressText(rows, r, at),
  port: rows[r + tcb.PORTS] & 0xffff,
})

export const remoteEnd = (rows: Int32Array, r: number): Endpoint => ({
  address: addressText(rows, r, r + tcb.REMOTE),
  port: rows[r + tcb.PORTS] >>> 16,
})

/** `10.77.0.2:80`, `[fd77::2]:80` (RFC 5952 §6). */
export const endpointText = ({ address, port }: Endpoint): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

function addressText(rows: Int32Array, r: number, at: number): string {
  if ((rows[r + tcb.FRAME_KEY] & tcb.KIND_IPV6) === 0) return ipv4.formatAddress(rows[at])
  return ipv6.formatAddress(rows[at], rows[at + 1], rows[at + 2], rows[at + 3])
}
