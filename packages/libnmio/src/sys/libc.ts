/**
 * The C library through koffi: the one door to system calls. koffi is loaded by the first call of
 * `libc()` and not by import, so a program that needs no device runs where koffi cannot load.
 *
 * Two families of signatures. Set-up calls take typed arrays, as is comfortable. Calls on a
 * packet's way take addresses as plain numbers (`uintptr_t`): measured on Node 20, x64, koffi
 * 3.3.4, a 66-byte write to /dev/null costs 225 ns with int, uintptr_t or BigInt pointers alike and
 * 248 ns with a Uint8Array, but a number is the only one that can cost no garbage: see `boxed`.
 *
 * The structures written beside these calls are those of 64-bit little-endian Linux; `libc()`
 * refuses any other machine.
 */
import { createRequire } from 'node:module'
import { EINVAL, ENOSYS, SysError } from './errno.ts'

/** open(2), asm-generic/fcntl.h. */
export const O_RDWR = 0o2
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
/** poll(2), asm-generic/poll.h. */
export const POLLIN = 0x1
export const POLLOUT = 0x4
export const POLLERR = 0x8

type Bytes = Uint8Array

/** Results are as in C: -1 says failure, and `errno()` then says why. */
export interface Libc {
  /** errno of this thread; to be read before anything else is called. */
  errno(): number
  /**
   * The address of a typed array's first byte. It stays where it is as long as its buffer lives.
   */
  addressOf(bytes: Bytes): number
  open(path: string, flags: number): number
  close(fd: number): number
  ioctl(fd: number, request: number, arg: Bytes): number
  /** ioctl whose argument is the number itself. */
  ioctlValue(fd: number, request: number, arg: number): number
  eventfd(initial: number, flags: number): number
  socket(family: number, type: number, protocol: number): number
  bind(fd: number, address: Bytes, len: number): number
  connect(fd: number, address: Bytes, len: number): number
  listen(fd: number, backlog: number): number
  /** accept4 without the peer's address. */
  accept(fd: number, address: number, len: number, flags: number): number
  setsockopt(fd: number, level: number, name: number, value: Bytes, len: number): number
  getsockopt(fd: number, level: number, name: number, value: Bytes, len: Bytes): number
  write(fd: number, bytes: Bytes, len: number): number
  send(fd: number, bytes: Bytes, len: number, flags: number): number
  recv(fd: number, bytes: Bytes, len: number, flags: number): number
  /** `msghdr`: a struct msghdr, whose pointers are addresses. */
  sendmsg(fd: number, msghdr: Bytes, flags: number): number
  recvmsg(fd: number, msghdr: Bytes, flags: number): number
  memfd(name: string, flags: number): number
  ftruncate(fd: number, len: number): number
  fcntl(fd: number, command: number, arg: number): number
  /** The address, or -1. Lengths and offsets stay below 2^53. */
  mmap(address: number, len: number, prot: number, flags: number, fd: number, off: number): number
  munmap(address: number, len: number): number
  madvise(address: number, len: number, advice: number): number
  pageSize(): number
  /** Of thread `tid`, 0: the calling one; a bit of `mask` for each CPU. */
  setAffinity(tid: number, len: number, mask: Bytes): number
  /**
   * A system call that libc has no name for (bpf(2)); its arguments beyond the first are a pointer
   * and a length.
   */
  syscall(number: number, command: number, bytes: Bytes, len: number): number

  /** The packet path: `address` and friends point into a region. */
  read(fd: number, address: number, len: number): number
  writev(fd: number, iovecs: number, count: number): number
  /** preadv2 at the file's own position, with RWF_ flags. */
  readv(fd: number, iovecs: number, count: number, off: number, flags: number): number
  ppoll(fds: number, count: number, timespec: number, sigmask: number): number
  /** `mmsghdrs`: an array of struct mmsghdr. */
  sendmmsg(fd: number, mmsghdrs: number, count: number, flags: number): number
  /** sendto without data or address: the kick that AF_XDP's send ring wants. */
  sendto(fd: number, bytes: number, len: number, flags: number, to: number, toLen: number): number
  recvfrom(fd: number, bytes: number, len: number, flags: number, from: number, n: number): number
}

const PROTOTYPES: Record<Exclude<keyof Libc, 'errno'>, string> = {
  addressOf: 'uintptr_t memset(void *s, int c, size_t n)',
  open: 'int open(const char *path, int flags)',
  close: 'int close(int fd)',
  ioctl: 'int ioctl(int fd, unsigned long request, void *arg)',
  ioctlValue: 'int ioctl(int fd, unsigned long request, uintptr_t arg)',
  eventfd: 'int eventfd(unsigned int initval, int flags)',
  socket: 'int socket(int domain, int type, int protocol)',
  bind: 'int bind(int fd, const void *addr, uint32_t len)',
  connect: 'int connect(int fd, const void *addr, uint32_t len)',
  listen: 'int listen(int fd, int backlog)',
  accept: 'int accept4(int fd, uintptr_t addr, uintptr_t addrlen, int flags)',
  setsockopt: 'int setsockopt(int fd, int level, int name, const void *value, uint32_t len)',
  getsockopt: 'int getsockopt(int fd, int level, int name, void *value, void *len)',
  write: 'int write(int fd, const void *buf, size_t len)',
  send: 'int send(int fd, const void *buf, size_t len, int flags)',
  recv: 'int recv(int fd, void *buf, size_t len, int flags)',
  sendmsg: 'int sendmsg(int fd, const void *msg, int flags)',
  recvmsg: 'int recvmsg(int fd, void *msg, int flags)',
  memfd: 'int memfd_create(const char *name, unsigned int flags)',
  ftruncate: 'int ftruncate(int fd, int64_t len)',
  fcntl: 'int fcntl(int fd, int cmd, int arg)',
  mmap: 'intptr_t mmap(uintptr_t addr, size_t len, int prot, int flags, int fd, int64_t off)',
  munmap: 'int munmap(uintptr_t addr, size_t len)',
  madvise: 'int madvise(uintptr_t addr, size_t len, int advice)',
  pageSize: 'int getpagesize()',
  setAffinity: 'int sched_setaffinity(int pid, size_t len, const void *mask)',
  syscall: 'int syscall(long number, int command, void *arg, unsigned int len)',
  // The lengths in use are below 2^31, so ssize_t results fit the low half: an int stays unboxed.
  read: 'int read(int fd, uintptr_t buf, size_t count)',
  writev: 'int writev(int fd, uintptr_t iov, int iovcnt)',
  readv: 'int preadv2(int fd, uintptr_t iov, int iovcnt, int64_t off, int flags)',
  ppoll: 'int ppoll(uintptr_t fds, unsigned long nfds, uintptr_t timeout, uintptr_t sigmask)',
  sendmmsg: 'int sendmmsg(int fd, uintptr_t msgs, unsigned int count, int flags)',
  sendto: 'int sendto(int fd, uintptr_t buf, size_t n, int flags, uintptr_t to, uint32_t tolen)',
  recvfrom: 'int recvfrom(int fd, uintptr_t b, size_t n, int flags, uintptr_t from, uintptr_t len)',
}

/** As far as we use it. */
interface Koffi {
  load(path: null): { func(prototype: string): (...args: unknown[]) => number }
  errno(): number
}

const MACHINES = ['x64', 'arm64', 'riscv64', 'loong64']
let bound: Libc | undefined

/** The bindings of this thread; the first call loads koffi, and throws SysError where it cannot. */
export function libc(): Libc {
  if (bound === undefined) bound = bind()
  return bound
}

function bind(): Libc {
  if (process.platform !== 'linux' || !MACHINES.includes(process.arch)) {
    const machine = `${process.platform} on ${process.arch}`
    throw new SysError('libc', ENOSYS, `devices need 64-bit Linux, not ${machine}`)
  }
  let koffi: Koffi
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi
  } catch (error) {
    const why = (error as Error).message.split('\n', 1)[0]
    const mend = 'install the packages anew on this very machine: npm ci, or npm install'
    throw new SysError('load koffi', ENOSYS, `${why}; ${mend}`)
  }
  // The process itself is the library: glibc and musl alike.
  const self = koffi.load(null)
  const table: Record<string, unknown> = {}
  for (const [name, prototype] of Object.entries(PROTOTYPES)) table[name] = self.func(prototype)
  const memset = table['addressOf'] as (bytes: Bytes, c: number, n: number) => number
  table['addressOf'] = (bytes: Bytes) => memset(bytes, 0, 0)
  table['errno'] = () => koffi.errno()
  return table as unknown as Libc
}

/** Passes a call's result through, or throws what errno says. */
export function check(result: number, syscall: string, hint = ''): number {
  if (result < 0) throw new SysError(syscall, libc().errno(), hint)
  return result
}

/**
 * Addresses that cost no garbage. An address is too large for a small integer, so V8 keeps it in a
 * box of 16 bytes, and makes a new box whenever one is computed or read from an array of doubles.
 * An array that has also held something else keeps the boxes themselves: what is read from it is
 * passed on as it is. Without this a million reads are fifteen scavenges; with it, none.
 */
export function boxed(base: number, stride: number, count: number): number[] {
  const addresses: (number | string)[] = ['']
  for (let i = 0; i < count; i++) addresses[i] = base + i * stride
  return addresses as number[]
}

/** A C string in `size` bytes: what is left is zero, and one byte always is. */
export function cString(text: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  if (new TextEncoder().encodeInto(text, bytes.subarray(0, size - 1)).read < text.length) {
    throw new SysError(text, EINVAL, `longer than ${size - 1} bytes`)
  }
  return bytes
}
