/**
 * TAPs as an administrator makes and deletes them, for the tests: `ip tuntap add`, `ip link del`.
 */
import { check, libc, O_RDWR } from '../src/sys/libc.ts'
import { type Link, listLinks } from '../src/sys/links.ts'
import { NLM_F_ACK, request, viewOf } from '../src/sys/netlink.ts'
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_TAP, setInterface } from '../src/sys/tun.ts'

/** linux/if_tun.h. */
const TUNSETPERSIST = 0x400454cb
const TUNSETOWNER = 0x400454cc
/** linux/rtnetlink.h. */
const RTM_DELLINK = 17

export const findLink = (name: string): Link | undefined =>
  listLinks().find(link => link.name === name)

/** `ip tuntap add dev NAME mode tap user OWNER [multi_queue]`. */
export function makePersistentTap(name: string, owner: number, multiQueue = false): void {
  const c = libc()
  const fd = check(c.open('/dev/net/tun', O_RDWR), 'open')
  setInterface(fd, name, IFF_TAP | IFF_NO_PI | (multiQueue ? IFF_MULTI_QUEUE : 0))
  check(c.ioctlValue(fd, TUNSETOWNER, owner), 'TUNSETOWNER')
  check(c.ioctlValue(fd, TUNSETPERSIST, 1), 'TUNSETPERSIST')
  c.close(fd)
}

/** `ip link delete NAME`. */
export function deleteLink(name: string): void {
  const fixed = new Uint8Array(16)
  viewOf(fixed).setInt32(4, findLink(name)?.index ?? 0, true)
  request(`delete ${name}`, RTM_DELLINK, NLM_F_ACK, fixed, new Map())
}
