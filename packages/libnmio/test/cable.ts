/**
 * A cable without a kernel interface: a pair of sockets that keep packet boundaries, as a TAP does.
 * TapDevice cannot tell the difference, so its every path is tested without privileges, and the
 * rare ones (a full queue, a frame cut off) at will.
 */
import { createRequire } from 'node:module'
import type { TapHandle } from '../src/index.ts'
import { check, libc, O_CLOEXEC, O_NONBLOCK } from '../src/sys/libc.ts'

const AF_UNIX = 1
const SOCK_SEQPACKET = 5

/** Two handles whose queues are the two ends. Close them with closeHandle. */
export function cable(offloads = true, mtu = 1500): [TapHandle, TapHandle] {
  const lib = createRequire(import.meta.url)('koffi').load(null)
  const socketpair = lib.func('int socketpair(int domain, int type, int protocol, void *sv)')
  const fds = new Int32Array(2)
  const type = SOCK_SEQPACKET | O_NONBLOCK | O_CLOEXEC
  check(socketpair(AF_UNIX, type, 0, new Uint8Array(fds.buffer)), 'socketpair')
  const handle = (fd: number, name: string): TapHandle => {
    const wakeFd = check(libc().eventfd(0, O_NONBLOCK | O_CLOEXEC), 'eventfd')
    const mac = Uint8Array.of(2, 0, 0, 0, 0, fd)
    const owned = [fd, wakeFd]
    return { kind: 'tap', fd, wakeFd, owned, name, mtu, mac, persistent: false, offloads }
  }
  return [handle(fds[0], 'left'), handle(fds[1], 'right')]
}
