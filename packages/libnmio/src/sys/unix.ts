/**
 * Unix sockets that keep messages apart (unix(7), SOCK_SEQPACKET) and carry descriptors
 * (SCM_RIGHTS). Nothing here blocks. A path that begins with '@' is an abstract name: it belongs to
 * the network namespace, and no file stands for it.
 *
 * Invariant: a descriptor that comes is either handed over or closed.
 */
import { createHash } from 'node:crypto'
import { lstatSync, unlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { EADDRINUSE, EAGAIN, ECONNREFUSED, EINVAL, SysError } from './errno.ts'
import { check, libc, O_CLOEXEC, O_NONBLOCK } from './libc.ts'
import { takeLock } from './lock.ts'

/** sys/socket.h. */
const AF_UNIX = 1
const SOCK_SEQPACKET = 5
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const MSG_CTRUNC = 0x8
const MSG_TRUNC = 0x20
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000

/** sys/un.h: struct sockaddr_un { u16 family; char path[108] }. */
const PATH_MAX = 108

/**
 * struct sockaddr_un of `path`, as long as it counts. Throws SysError if it is too long, or none.
 */
function addressOf(path: string): Uint8Array {
  const text = new TextEncoder().encode(path)
  const isAbstract = path.startsWith('@')
  if (text.length < (isAbstract ? 2 : 1) || text.length > PATH_MAX - 1) {
    throw new SysError(`socket ${path}`, EINVAL, `give a path of 1 to ${PATH_MAX - 1} bytes`)
  }
  const address = new Uint8Array(2 + text.length + (isAbstract ? 0 : 1))
  address[0] = AF_UNIX
  address.set(text, 2)
  if (isAbstract) address[2] = 0
  return address
}

const openSocket = (): number =>
  check(
    libc().socket(AF_UNIX, SOCK_SEQPACKET | O_NONBLOCK | O_CLOEXEC, 0),
    'socket(AF_UNIX, SOCK_SEQPACKET)',
  )

/** A listening socket; `close` also removes its file. */
export interface Listener {
  readonly fd: number
  close(): void
}

const WAITING_MAX = 8

/**
 * Listens at `path`. What a dead server left there is removed; a live one, or a file that is none
 * of a server's, is EADDRINUSE.
 */
export function listenAt(path: string): Listener {
  const c = libc()
  const address = addressOf(path)
  // Of two that find the same dead server's file, one would remove the other's.
  const lock = takeLock(`socket/${hash(path)}`)
  if (lock < 0) throw inUse(path)
  let fd = -1
  try {
    fd = openSocket()
    if (c.bind(fd, address, address.length) < 0) {
      const errno = c.errno()
      if (errno !== EADDRINUSE) {
        throw new SysError(`bind ${path}`, errno, 'give a path in a folder where we may make files')
      }
      removeStale(path)
      check(c.bind(fd, address, address.length), `bind ${path}`)
    }
    check(c.listen(fd, WAITING_MAX), `listen ${path}`)
  } catch (error) {
    if (fd >= 0) c.close(fd)
    c.close(lock)
    throw error
  }
  const file = path.startsWith('@') ? -1 : lstatSync(path).ino
  return {
    fd,
    close() {
      if (file >= 0 && lstatSync(path, { throwIfNoEntry: false })?.ino === file) unlinkSync(path)
      c.close(fd)
      c.close(lock)
    },
  }
}

/** A path may be longer than what a lock can be called. */
const hash = (path: string): string =>
  createHash('sha256').update(resolve(path)).digest('hex').slice(0, 32)

const inUse = (path: string): SysError =>
  new SysError(
    `listen ${path}`,
    EADDRINUSE,
    'another server listens there; stop it, or give another path',
  )

/** Nobody answers at a dead server's socket. */
function removeStale(path: string): void {
  if (path.startsWith('@')) throw inUse(path)
  if (!lstatSync(path).isSocket()) {
    throw new SysError(`listen ${path}`, EADDRINUSE, 'there is a file that is no socket')
  }
  const fd = connectTo(path)
  if (fd !== -ECONNREFUSED) {
    if (fd >= 0) libc().close(fd)
    throw inUse(path)
  }
  unlinkSync(path)
}

/**
 * A socket that is connected to the server at `path`; or minus the errno that says why there is
 * none.
 */
export function connectTo(path: string): number {
  const c = libc()
  const address = addressOf(path)
  const fd = openSocket()
  if (c.connect(fd, address, address.length) === 0) return fd
  const errno = c.errno()
  c.close(fd)
  return -errno
}

/** The next who has connected; -1: nobody. */
export const acceptFrom = (fd: number): number => libc().accept(fd, 0, 0, O_NONBLOCK | O_CLOEXEC)

/**
 * struct msghdr { name*; u32 namelen; iov*; iovlen; control*; controllen; int flags }, and struct
 * iovec.
 */
const MSGHDR_LEN = 56
const MSG_IOV = 16
const MSG_CONTROL = 32
const MSG_CONTROLLEN = 40
const MSG_FLAGS = 48
const IOVEC_LEN = 16
/** struct cmsghdr { size_t len; int level; int type }, then descriptors. */
const CMSG_LEVEL = 8
const CMSG_TYPE = 12
const CMSGHDR_LEN = 16
/** So many descriptors are looked at, and closed if they are too many. */
const FDS_MAX = 16
const CONTROL_LEN = CMSGHDR_LEN + FDS_MAX * 4

/**
 * Room for a message in one buffer, which the call that gets it keeps alive: a struct msghdr, which
 * points at what is behind it, its iovec, data, and control data.
 */
class Envelope {
  readonly bytes: Uint8Array
  readonly data: Uint8Array
  readonly control: DataView
  readonly #header: DataView

  constructor(dataLen: number, controlLen: number) {
    const dataAt = MSGHDR_LEN + IOVEC_LEN
    const controlAt = Math.ceil((dataAt + dataLen) / 8) * 8
    this.bytes = new Uint8Array(controlAt + controlLen)
    this.data = this.bytes.subarray(dataAt, dataAt + dataLen)
    this.control = new DataView(this.bytes.buffer, controlAt, controlLen)
    this.#header = new DataView(this.bytes.buffer)
    const base = libc().addressOf(this.bytes)
    this.#setPiece(MSG_IOV, base + MSGHDR_LEN, 1)
    this.#setPiece(MSGHDR_LEN, base + dataAt, dataLen)
    this.#setPiece(MSG_CONTROL, controlLen === 0 ? 0 : base + controlAt, controlLen)
  }

  /** A pointer, and a length behind it. */
  #setPiece(at: number, address: number, len: number): void {
    this.#header.setBigUint64(at, BigInt(address), true)
    this.#header.setUint32(at + 8, len, true)
  }

  /** What the kernel has written: bytes of control data, and MSG_ flags. */
  get controlLen(): number {
    return this.#header.getUint32(MSG_CONTROLLEN, true)
  }
  get flags(): number {
    return this.#header.getUint32(MSG_FLAGS, true)
  }
}

/** Sends one message, with `fds`; false if it cannot be sent, now or at all. */
export function sendMessage(fd: number, data: Uint8Array, fds: readonly number[]): boolean {
  const controlLen = fds.length === 0 ? 0 : CMSGHDR_LEN + Math.ceil(fds.length / 2) * 8
  const { bytes, data: room, control } = new Envelope(data.length, controlLen)
  room.set(data)
  if (fds.length > 0) {
    control.setUint32(0, CMSGHDR_LEN + 4 * fds.length, true)
    control.setInt32(CMSG_LEVEL, SOL_SOCKET, true)
    control.setInt32(CMSG_TYPE, SCM_RIGHTS, true)
    for (const [i, passed] of fds.entries()) control.setInt32(CMSGHDR_LEN + 4 * i, passed, true)
  }
  return libc().sendmsg(fd, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) === data.length
}

export interface Received {
  readonly data: Uint8Array
  /** Whose they are now; closing them is the caller's. */
  readonly fds: readonly number[]
}

/**
 * Takes the next message, of `lenMax` bytes and `fdsMax` descriptors at most. 'none': there is none
 * yet; 'closed': there will be none any more; 'malformed': it had more than that.
 */
export function receiveMessage(
  fd: number,
  lenMax: number,
  fdsMax: number,
): Received | 'none' | 'closed' | 'malformed' {
  const c = libc()
  const envelope = new Envelope(lenMax, CONTROL_LEN)
  const len = c.recvmsg(fd, envelope.bytes, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
  if (len < 0) return c.errno() === EAGAIN ? 'none' : 'closed'
  const fds = descriptorsIn(envelope.control, envelope.controlLen)
  const isCut = (envelope.flags & (MSG_CTRUNC | MSG_TRUNC)) !== 0
  if (!isCut && fds.length <= fdsMax && len > 0) return { data: envelope.data.slice(0, len), fds }
  for (const surplus of fds) c.close(surplus)
  return len === 0 ? 'closed' : 'malformed'
}

/**
 * The descriptors of all SCM_RIGHTS in the `len` bytes of control data that the kernel has written.
 */
function descriptorsIn(view: DataView, len: number): number[] {
  const fds: number[] = []
  for (let at = 0; at + CMSGHDR_LEN <= len; ) {
    const messageLen = view.getUint32(at, true)
    if (messageLen < CMSGHDR_LEN) break
    const isRights =
      view.getInt32(at + CMSG_LEVEL, true) === SOL_SOCKET &&
      view.getInt32(at + CMSG_TYPE, true) === SCM_RIGHTS
    const end = Math.min(at + messageLen, len)
    for (let i = at + CMSGHDR_LEN; isRights && i + 4 <= end; i += 4)
      fds.push(view.getInt32(i, true))
    at += Math.ceil(messageLen / 8) * 8
  }
  return fds
}
