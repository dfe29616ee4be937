/**
 * Over which version of IP the hosts of this process talk, unless a test says otherwise: IPv6 where
 * this was imported with SANDSTORM_TEST_IP set to 6. It is what lets one file run others again.
 */
import { test } from 'node:test'

export const ipVersion: 4 | 6 = process.env['SANDSTORM_TEST_IP'] === '6' ? 6 : 4

/**
 * For a test that speaks of IPv4 itself (addresses, ARP, offsets): there is none of it over IPv6.
 */
export const testIpv4: typeof test = ipVersion === 4 ? test : ((() => {}) as typeof test)
