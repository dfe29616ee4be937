/**
 * Over which version of IP the hosts of this process talk, unless a test says otherwise. It is what
 * lets one file run others again over IPv6: it says `talkIpv6()` and then imports them.
 */
import { test } from 'node:test'

let version: 4 | 6 = 4

export const ipVersion = (): 4 | 6 => version

/** From now on. */
export function talkIpv6(): void {
  version = 6
}

/** A test that speaks of IPv4 itself (addresses, ARP, offsets): there is none of it over IPv6. */
export function testIpv4(name: string, body: () => void): void {
  if (version === 4) test(name, body)
}
