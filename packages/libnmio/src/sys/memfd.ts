/**
 * Memory as a file (memfd_create(2)), to be shared with another process by its descriptor. Seals
 * (fcntl(2)) keep its size: whoever maps a file that somebody else then shortens dies of SIGBUS, so
 * memory is taken from a peer only if nobody can shorten it any more.
 */
import { fstatSync, readFileSync, readlinkSync } from 'node:fs'
import { SysError } from './errno.ts'
import { check, libc, O_NONBLOCK } from './libc.ts'

/** linux/memfd.h, linux/fcntl.h. */
const MFD_CLOEXEC = 0x1
const MFD_ALLOW_SEALING = 0x2
const F_GETFL = 3
const F_SETFL = 4
const F_ADD_SEALS = 1033
const F_GET_SEALS = 1034
const F_SEAL_SEAL = 0x1
const F_SEAL_SHRINK = 0x2
const F_SEAL_GROW = 0x4
const F_SEAL_WRITE = 0x8
const F_SEAL_FUTURE_WRITE = 0x10

/** A memory file that has no size yet. */
export const createMemory = (name: string): number =>
  check(libc().memfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create')

/** Bytes of a file. */
export const sizeOf = (fd: number): number => fstatSync(fd).size

/** Gives a new memory file its size, for good. */
export function sealMemory(fd: number, bytes: number): void {
  check(libc().ftruncate(fd, bytes), 'ftruncate')
  check(libc().fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'F_ADD_SEALS')
}

/** '' if `bytes` of a peer's file can be mapped, read and written without harm; else why not. */
export function memoryProblem(fd: number, bytes: number): string {
  const seals = libc().fcntl(fd, F_GET_SEALS, 0)
  if (seals < 0) return 'is not a memory file'
  if ((seals & F_SEAL_SHRINK) === 0) return 'can be shortened under us (F_SEAL_SHRINK is missing)'
  if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return 'cannot be written'
  const size = sizeOf(fd)
  return size < bytes ? `has ${size} bytes and not ${bytes}` : ''
}

/** No file's path begins like that, whatever a peer calls its files. */
const EVENTFD = /^anon_inode:\[eventfd/
/** One reading takes 1 of it, so that it stays readable, and we awake; told since Linux 6.5. */
const SEMAPHORE = /^eventfd-semaphore: *1$/m

/** '' if a peer's descriptor is an eventfd, which then does not block; else why it is none. */
export function eventfdProblem(fd: number): string {
  if (!EVENTFD.test(told(fd, 'fd'))) return 'is not an eventfd'
  if (SEMAPHORE.test(told(fd, 'fdinfo'))) return 'is a semaphore'
  const c = libc()
  const flags = c.fcntl(fd, F_GETFL, 0)
  if (flags >= 0 && c.fcntl(fd, F_SETFL, flags | O_NONBLOCK) === 0) return ''
  return new SysError('F_SETFL', c.errno()).message
}

/** What the system says of a descriptor; '' where it has no /proc. */
function told(fd: number, about: 'fd' | 'fdinfo'): string {
  const path = `/proc/self/${about}/${fd}`
  try {
    return about === 'fd' ? readlinkSync(path) : readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
