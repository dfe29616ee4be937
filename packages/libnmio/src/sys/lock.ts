/**
 * A lock that no crash leaves behind: an abstract Unix socket (unix(7)). Like interface names it
 * belongs to the network namespace, needs no file and no right, and dies with its process.
 */
import { EADDRINUSE, SysError } from './errno.ts'
import { check, libc, O_CLOEXEC } from './libc.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2

/** Takes `key`; returns a descriptor that holds it, or -1 if somebody else does. */
export function takeLock(key: string): number {
  const c = libc()
  const fd = check(c.socket(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0), 'socket(AF_UNIX)')
  const path = new TextEncoder().encode(`sandstorm-${key}`)
  const address = new Uint8Array(2 + 1 + path.length)
  address[0] = AF_UNIX
  address.set(path, 3)
  if (c.bind(fd, address, address.length) === 0) return fd
  const errno = c.errno()
  c.close(fd)
  if (errno === EADDRINUSE) return -1
  throw new SysError(`lock ${key}`, errno)
}
