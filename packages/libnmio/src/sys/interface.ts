/**
 * What has become of an interface while a device is on it. For when frames seem to get lost: each
 * answer takes some system calls. An interface is its number, which it keeps when it is renamed, or
 * its name where a device knows no more.
 */
import { hasCarrier } from './ethtool.ts'
import { ask, IFNAMSIZ, IFR_VALUE, newIfreq } from './ifreq.ts'
import { cString } from './libc.ts'

/** linux/sockios.h; the values are ifr_ifindex, ifr_flags, ifr_mtu and ifr_hwaddr. */
const SIOCGIFNAME = 0x8910
const SIOCGIFFLAGS = 0x8913
const SIOCGIFMTU = 0x8921
const SIOCGIFHWADDR = 0x8927
/** linux/if.h: it is switched on. */
const IFF_UP = 1

export const INTERFACE_GONE = 0
export const INTERFACE_DOWN = 1
const INTERFACE_UP = 2

/** INTERFACE_GONE, INTERFACE_DOWN if it is switched off, or INTERFACE_UP. */
export function interfaceState(which: number | string): number {
  const ifreq = ifreqOf(which)
  if (ifreq === undefined || !ask(SIOCGIFFLAGS, ifreq)) return INTERFACE_GONE
  return ifreq[IFR_VALUE] & IFF_UP ? INTERFACE_UP : INTERFACE_DOWN
}

/**
 * Its MTU, but no more than `most`, which is it if the interface is gone; 0 while nothing goes out
 * there: it is switched off, or has no carrier.
 */
export function interfaceMtu(which: number | string, most: number): number {
  const ifreq = ifreqOf(which)
  if (ifreq === undefined || !ask(SIOCGIFMTU, ifreq)) return most
  if (!hasCarrier(nameIn(ifreq))) return 0
  return Math.min(new DataView(ifreq.buffer).getInt32(IFR_VALUE, true), most)
}

/** Its hardware address; undefined if it is gone. */
export function interfaceMac(which: number | string): Uint8Array | undefined {
  const ifreq = ifreqOf(which)
  if (ifreq === undefined || !ask(SIOCGIFHWADDR, ifreq)) return undefined
  const address = IFR_VALUE + 2 // a struct sockaddr: u16 family, address
  return ifreq.subarray(address, address + 6)
}

/** With the name of an interface; undefined: there is none with this number (here). */
function ifreqOf(which: number | string): Uint8Array | undefined {
  const ifreq = newIfreq()
  if (typeof which === 'string') {
    ifreq.set(cString(which, IFNAMSIZ))
    return ifreq
  }
  new DataView(ifreq.buffer).setInt32(IFR_VALUE, which, true)
  return ask(SIOCGIFNAME, ifreq) ? ifreq : undefined
}

const nameIn = (ifreq: Uint8Array): string =>
  new TextDecoder().decode(ifreq.subarray(0, ifreq.indexOf(0)))
