/**
 * Questions about an interface that any socket can ask (netdevice(7), linux/if.h): struct ifreq is
 * a name, and behind it what is asked for, or answered.
 */
import { libc, O_CLOEXEC } from './libc.ts'

const AF_INET = 2
const SOCK_DGRAM = 2
export const IFREQ_LEN = 40
/** A name, the closing zero included. */
export const IFNAMSIZ = 16
/** Where the value behind the name begins. */
export const IFR_VALUE: number = IFNAMSIZ

export const newIfreq = (): Uint8Array => new Uint8Array(IFREQ_LEN)

/** Does the kernel answer? The answer is in `ifreq`. False also where no socket can be had. */
export function ask(request: number, ifreq: Uint8Array): boolean {
  const c = libc()
  const fd = c.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0)
  if (fd < 0) return false
  const result = c.ioctl(fd, request, ifreq)
  c.close(fd)
  return result >= 0
}
