/**
 * Memory that is shared with a kernel or a peer (mmap(2)), put over pages of a region: packets that
 * others write are then at plain offsets of the one region that everybody reads, and rings are
 * words of it. Set-up only.
 *
 * Whoever maps over pages also calls `unmapOver`, before the region can go.
 */
import type { Region } from '../region.ts'
import { SysError } from './errno.ts'
import { libc } from './libc.ts'
import { koffiProblem } from './probe.ts'

/** sys/mman.h. */
const PROT_READ_WRITE = 1 | 2
const MAP_SHARED = 0x01
const MAP_PRIVATE = 0x02
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20
const MAP_POPULATE = 0x8000
/** asm-generic/mman-common.h */
const MADV_HUGEPAGE = 14

/** `len` in whole pages. */
export function pagesOf(len: number): number {
  const page = libc().pageSize()
  return Math.ceil(len / page) * page
}

/**
 * Asks for huge pages wherever the region is still its own memory, so that filling it faults 512
 * times less often. Only a wish: without koffi, or where the kernel has none, all stays as it was.
 */
export function preferHugePages(region: Region): void {
  if (koffiProblem() !== '') return
  libc().madvise(libc().addressOf(region.bytes), region.byteLength, MADV_HUGEPAGE)
}

/** Reserves whole pages for `len` bytes of a region, and returns their offset. */
export function reservePages(region: Region, len: number): number {
  return region.reserve(pagesOf(len), libc().pageSize())
}

/** Puts `len` bytes of `fd`, from `fdOff` on, over the pages at `off`. Throws SysError. */
export function mapOver(region: Region, off: number, len: number, fd: number, fdOff: number): void {
  const flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE
  map(region, off, len, flags, fd, fdOff)
}

/** Puts memory of our own, zeroed, over the pages at `off` again. */
export function unmapOver(region: Region, off: number, len: number): void {
  map(region, off, len, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
}

function map(
  region: Region,
  off: number,
  len: number,
  flags: number,
  fd: number,
  fdOff: number,
): void {
  const c = libc()
  const address = c.addressOf(region.bytes) + off
  if (c.mmap(address, pagesOf(len), PROT_READ_WRITE, flags, fd, fdOff) === address) return
  throw new SysError('mmap', c.errno())
}
