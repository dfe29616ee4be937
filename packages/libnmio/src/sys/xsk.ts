/**
 * AF_XDP sockets (linux/if_xdp.h, Documentation/networking/af_xdp.rst): memory that is shared with
 * a NIC's driver (UMEM), in chunks, and four rings that say whose a chunk is. Set-up only; the
 * rings' use is xdp/ring.ts's.
 */

import { ENODEV, EPERM, SysError } from './errno.ts'
import { check, libc, O_CLOEXEC } from './libc.ts'
import { NIC_RIGHTS_HINT } from './rights.ts'

const AF_XDP = 44
const SOCK_RAW = 3

const SOL_XDP = 283
const XDP_MMAP_OFFSETS = 1
const XDP_RX_RING = 2
const XDP_TX_RING = 3
const XDP_UMEM_REG = 4
const XDP_UMEM_FILL_RING = 5
const XDP_UMEM_COMPLETION_RING = 6
const XDP_STATISTICS = 7
const XDP_OPTIONS = 8
const XDP_MAX_TX_BUDGET = 9 // Linux 6.17
const XDP_OPTIONS_ZEROCOPY = 1
const XDP_USE_NEED_WAKEUP = 8
const XDP_USE_SG = 16 // Linux 6.6

/** asm-generic/socket.h */
const SOL_SOCKET = 1
const SO_BUSY_POLL = 46
const SO_PREFER_BUSY_POLL = 69 // Linux 5.11
const SO_BUSY_POLL_BUDGET = 70

/** What the kernel keeps free in front of a received frame in its chunk (XDP_PACKET_HEADROOM). */
export const XDP_HEADROOM = 256
/** linux/if_xdp.h: a flag of a ring: the kernel waits for a system call. */
export const XDP_RING_NEED_WAKEUP = 1
/** linux/if_xdp.h: an option of a descriptor: the packet goes on in the next. */
export const XDP_PKT_CONTD = 1

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)

/** A socket without memory, rings or interface. */
export function openXskSocket(): number {
  const c = libc()
  const fd = c.socket(AF_XDP, SOCK_RAW | O_CLOEXEC, 0)
  if (fd >= 0) return fd
  const errno = c.errno()
  const hint = errno === EPERM ? NIC_RIGHTS_HINT : 'this kernel has no AF_XDP; use --device packet'
  throw new SysError('socket(AF_XDP)', errno, hint)
}

/**
 * From now on calls on the socket run the driver's receive routine, and while they do so often
 * enough interrupts do not (networking/napi.rst: preferred busy polling). `us`: for so long where a
 * call may block; `budget`: frames that one run takes.
 */
export function preferBusyPolling(fd: number, us: number, budget: number): void {
  const set = (name: number, value: number, what: string): void => {
    check(libc().setsockopt(fd, SOL_SOCKET, name, int(value), 4), what, NIC_RIGHTS_HINT)
  }
  set(SO_PREFER_BUSY_POLL, 1, 'SO_PREFER_BUSY_POLL')
  set(SO_BUSY_POLL, us, 'SO_BUSY_POLL')
  set(SO_BUSY_POLL_BUDGET, budget, 'SO_BUSY_POLL_BUDGET')
}

/**
 * `len` bytes at `address`, whole pages, are the socket's packet memory, in chunks of a power of
 * two.
 */
export function registerUmem(fd: number, address: number, len: number, chunkBytes: number): void {
  // struct xdp_umem_reg { u64 addr, len; u32 chunk_size, headroom, flags, tx_metadata_len }
  const request = new Uint8Array(32)
  const view = new DataView(request.buffer)
  view.setBigUint64(0, BigInt(address), true)
  view.setBigUint64(8, BigInt(len), true)
  view.setUint32(16, chunkBytes, true)
  const hint =
    'more memory may be locked with: ulimit -l unlimited (or CAP_IPC_LOCK); or give less with --memory'
  check(libc().setsockopt(fd, SOL_XDP, XDP_UMEM_REG, request, request.length), 'XDP_UMEM_REG', hint)
}

/** Entries of each ring; powers of two. */
export interface XskRings {
  readonly fill: number
  readonly rx: number
  readonly tx: number
  readonly completion: number
}

/**
 * Makes the rings; what one send call may process is the send ring's size where the kernel lets us
 * say.
 */
export function createRings(fd: number, rings: XskRings): void {
  const set = (name: number, entries: number, what: string): void => {
    check(libc().setsockopt(fd, SOL_XDP, name, int(entries), 4), what)
  }
  set(XDP_UMEM_FILL_RING, rings.fill, 'XDP_UMEM_FILL_RING')
  set(XDP_UMEM_COMPLETION_RING, rings.completion, 'XDP_UMEM_COMPLETION_RING')
  set(XDP_RX_RING, rings.rx, 'XDP_RX_RING')
  set(XDP_TX_RING, rings.tx, 'XDP_TX_RING')
  libc().setsockopt(fd, SOL_XDP, XDP_MAX_TX_BUDGET, int(rings.tx), 4)
}

/** Where the words of a ring lie in its mapping, and what mmap(2) is told to map it. */
export interface RingPlace {
  readonly producer: number
  readonly consumer: number
  readonly flags: number
  readonly entries: number
  readonly mapOff: number
}
export type RingPlaces = Record<keyof XskRings, RingPlace>

/** linux/if_xdp.h: XDP_PGOFF_RX_RING and its like. */
const MAP_OFF: Record<keyof XskRings, number> = {
  rx: 0,
  tx: 0x80000000,
  fill: 0x100000000,
  completion: 0x180000000,
}

/** Reads where everything is. */
export function ringPlaces(fd: number): RingPlaces {
  // struct xdp_mmap_offsets: of rx, tx, fill, completion { u64 producer, consumer, desc, flags }
  const offsets = new Uint8Array(128)
  const { length } = offsets
  check(libc().getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets, int(length)), 'XDP_MMAP_OFFSETS')
  const view = new DataView(offsets.buffer)
  const place = (i: number, mapOff: number): RingPlace => ({
    producer: view.getUint32(i * 32, true),
    consumer: view.getUint32(i * 32 + 8, true),
    entries: view.getUint32(i * 32 + 16, true),
    flags: view.getUint32(i * 32 + 24, true),
    mapOff,
  })
  return {
    rx: place(0, MAP_OFF.rx),
    tx: place(1, MAP_OFF.tx),
    fill: place(2, MAP_OFF.fill),
    completion: place(3, MAP_OFF.completion),
  }
}

/**
 * From now on the socket has the queue, without copies if the driver can, else with one. With
 * `isMultiBuffer` packets may lie in several chunks; a driver that cannot do that itself has the
 * kernel copy.
 */
export function bindXsk(fd: number, ifindex: number, queue: number, isMultiBuffer: boolean): void {
  const hint = 'another program may have this queue'
  const flags = XDP_USE_NEED_WAKEUP | (isMultiBuffer ? XDP_USE_SG : 0)
  check(bind(fd, ifindex, queue, flags), 'bind(AF_XDP)', hint)
}

/** Can packets lie in several chunks? An unbound socket is asked, and stays as it is. */
export function hasMultiBuffer(fd: number): boolean {
  // net/xdp/xsk.c: xsk_bind looks at the flags first (EINVAL), then for the interface: there is
  // none.
  return bind(fd, 0, 0, XDP_USE_SG) < 0 && libc().errno() === ENODEV
}

function bind(fd: number, ifindex: number, queue: number, flags: number): number {
  // struct sockaddr_xdp { u16 family, flags; u32 ifindex, queue_id, shared_umem_fd }
  const address = new Uint8Array(16)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_XDP, true)
  view.setUint16(2, flags, true)
  view.setUint32(4, ifindex, true)
  view.setUint32(8, queue, true)
  return libc().bind(fd, address, address.length)
}

/** Does the driver send and receive in our memory itself? */
export function isZeroCopy(fd: number): boolean {
  const options = int(0)
  libc().getsockopt(fd, SOL_XDP, XDP_OPTIONS, options, int(4))
  return (options[0] & XDP_OPTIONS_ZEROCOPY) !== 0
}

/** Frames that were for this socket and could not be received, since it was made. */
export function readXskDrops(fd: number): number {
  // struct xdp_statistics { u64 rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full, … }
  const stats = new Uint8Array(48)
  if (libc().getsockopt(fd, SOL_XDP, XDP_STATISTICS, stats, int(stats.length)) < 0) return 0
  const view = new DataView(stats.buffer)
  return view.getUint32(0, true) + view.getUint32(24, true)
}
