/**
 * What has become of an interface while a device is on it (netdevice(7)). For when frames seem to
 * get lost: each answer takes some system calls. An interface is its number, which it keeps when it
 * is renamed, or its name where a device knows no more.
 */
import { hasCarrier } from './ethtool.ts'
import { cString, libc, O_CLOEXEC } from './libc.ts'
import { IFNAMSIZ } from './tun.ts'

const AF_INET = 2
const SOCK_DGRAM = 2
/** linux/sockios.h; struct ifreq: behind the name ifr_ifindex, ifr_flags or ifr_mtu. */
const SIOCGIFNAME = 0x8910
const SIOCGIFFLAGS = 0x8913
const SIOCGIFMTU = 0x8921
const IFREQ_LEN = 40
/** linux/if.h: it is switched on. */
const IFF_UP = 1

export const INTERFACE_GONE = 0
export const INTERFACE_DOWN = 1
const INTERFACE_UP = 2

/** INTERFACE_GONE, INTERFACE_DOWN if it is switched off, or INTERFACE_UP. */
export function interfaceState(which: number | string): number {
  const ifreq = ask(which, SIOCGIFFLAGS)
  if (ifreq === undefined) return INTERFACE_GONE
  return ifreq[IFNAMSIZ] & IFF_UP ? INTERFACE_UP : INTERFACE_DOWN
}

/**
 * Its MTU, but no more than `most`, which is it if the interface is gone; 0 while nothing goes out
 * there: it is switched off, or has no carrier.
 */
export function interfaceMtu(which: number | string, most: number): number {
  const ifreq = ask(which, SIOCGIFMTU)
  if (ifreq === undefined) return most
  if (!hasCarrier(nameIn(ifreq))) return 0
  return Math.min(new DataView(ifreq.buffer).getInt32(IFNAMSIZ, true), most)
}

const nameIn = (ifreq: Uint8Array): string =>
  new TextDecoder().decode(ifreq.subarray(0, ifreq.indexOf(0)))

/** The kernel's answer; undefined: there is no such interface (here), or nobody to ask. */
function ask(which: number | string, request: number): Uint8Array | undefined {
  const { socket, ioctl, close } = libc()
  const fd = socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0)
  if (fd < 0) return undefined
  const ifreq = new Uint8Array(IFREQ_LEN)
  let isKnown = true
  if (typeof which === 'string') ifreq.set(cString(which, IFNAMSIZ))
  else {
    new DataView(ifreq.buffer).setInt32(IFNAMSIZ, which, true)
    isKnown = ioctl(fd, SIOCGIFNAME, ifreq) === 0
  }
  isKnown = isKnown && ioctl(fd, request, ifreq) === 0
  close(fd)
  return isKnown ? ifreq : undefined
}
