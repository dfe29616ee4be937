/**
 * Errors of the kernel (errno(3), asm-generic/errno.h) as people read them: what was tried, what
 * the kernel answered, what to do about it.
 *
 * A SysError is thrown while something is set up, never on the way of a packet: there an errno is
 * looked at, counted, and forgotten.
 */
import { getSystemErrorMap } from 'node:util'

export const EPERM = 1
export const ENOENT = 2
export const ENXIO = 6
export const EAGAIN = 11
export const EACCES = 13
export const EBUSY = 16
export const EEXIST = 17
export const ENODEV = 19
export const EINVAL = 22
export const ENOSYS = 38
export const EBADFD = 77
export const EADDRINUSE = 98
export const ENETDOWN = 100
export const ECONNREFUSED = 111

/** What libuv has no words for. */
const MORE: Record<number, [string, string]> = {
  38: ['ENOSYS', 'function not implemented'],
  77: ['EBADFD', 'file descriptor in bad state'],
}

function describe(errno: number): [string, string] {
  return getSystemErrorMap().get(-errno) ?? MORE[errno] ?? [`errno ${errno}`, 'unknown error']
}

/** The symbol of an errno: `EBUSY`. */
export const errnoName = (errno: number): string => describe(errno)[0]

/** A refusal at set-up. `message` is one line for people: what, why, and (`hint`) what to do. */
export class SysError extends Error {
  override readonly name: string = 'SysError'
  /** What was tried: `open /dev/net/tun`, `tap sand0`. */
  readonly syscall: string
  readonly errno: number
  /** The symbol of errno, as in Node's own errors. */
  readonly code: string
  readonly hint: string

  constructor(syscall: string, errno: number, hint = '') {
    const [code, text] = describe(errno)
    super(`${syscall}: ${text} (${code})${hint === '' ? '' : `: ${hint}`}`)
    this.syscall = syscall
    this.errno = errno
    this.code = code
    this.hint = hint
  }
}
