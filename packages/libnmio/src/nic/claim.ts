/**
 * Claims what a plan needs against other programs: an address of our own against other servers like
 * us, a shared address's port against the kernel's listeners too, whose clients we would take away.
 * The claims are descriptors, and end with the process.
 */

import { EACCES, EADDRINUSE, SysError } from '../sys/errno.ts'
import { check, libc, O_CLOEXEC } from '../sys/libc.ts'
import { takeLock } from '../sys/lock.ts'
import { addressText, familyOf, isIpv6Prefix, type Prefix } from '../sys/prefix.ts'
import { NIC_RIGHTS_HINT } from '../sys/rights.ts'
import type { NicPlan } from './plan.ts'

const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const ONE = new Uint8Array(Int32Array.of(1).buffer)

/** Hands each descriptor to `own`. Throws SysError(EADDRINUSE). */
export function claim(plan: NicPlan, own: (fd: number) => number): void {
  const { port } = plan.steering
  for (const address of plan.addresses) {
    const key = plan.isShared ? `${addressText(address)} port ${port}` : addressText(address)
    const fd = takeLock(`nic/${plan.link.name}/${key}`)
    if (fd < 0) throw taken(key, 'another server on this interface has it')
    own(fd)
    if (plan.isShared) own(reservePort(address, port))
  }
}

/** A bound socket: it finds a listener that is there, and answers nobody. */
function reservePort(address: Prefix, port: number): number {
  const c = libc()
  const is6 = isIpv6Prefix(address)
  const fd = check(c.socket(familyOf(address), SOCK_STREAM | O_CLOEXEC, 0), 'socket')
  // Connections that have just ended are no reason to wait.
  c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ONE, ONE.length)
  if (is6) c.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ONE, ONE.length)
  // struct sockaddr_in { u16 family; be16 port; addr[4] }, sockaddr_in6 { …; u32 flow; addr[16] }
  const sockaddr = new Uint8Array(is6 ? 28 : 16)
  const view = new DataView(sockaddr.buffer)
  view.setUint16(0, familyOf(address), true)
  view.setUint16(2, port)
  sockaddr.set(address.bytes, is6 ? 8 : 4)
  if (c.bind(fd, sockaddr, sockaddr.length) === 0) return fd
  const errno = c.errno()
  c.close(fd)
  const key = `${addressText(address)} port ${port}`
  if (errno === EADDRINUSE) throw taken(key, 'a program on this host listens there')
  const hint = errno === EACCES ? `choose a port above 1023, or ${NIC_RIGHTS_HINT}` : ''
  throw new SysError(`bind ${key}`, errno, hint)
}

const taken = (key: string, who: string): SysError =>
  new SysError(key, EADDRINUSE, `${who}; choose another port or address`)
