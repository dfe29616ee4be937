/**
 * The device contract: what a NIC, a TAP or a link in memory offers to the stack above it.
 *
 * Ownership is netmap's. A received frame belongs to the caller from `rx()` until the next `rx()`.
 * A frame to be sent belongs to the device from `push`/`gather` until `reclaim()` reports it; until
 * then not a byte of it may change. Ring space is visible (`txSpace`), so nobody builds a frame
 * that the ring cannot take (paper §2: bufferless). Work is batched: many `push`, one `flush`.
 *
 * Everything but `wait` returns at once. Nothing here throws for what the wire did; a device that
 * is gone says so through `down`.
 */
import type { Region } from './region.ts'

/** The most frames that one `rx()` takes: the batch that clocks the stack (paper §2.1). */
export const BATCH_MAX = 64

/**
 * Bytes in front of every pushed frame that the device may write to (TAP puts its virtio_net_hdr
 * there, so header and frame leave in one piece; a VLAN's tag comes between).
 */
export const DEVICE_HEADROOM = 16

/** Bytes in front of a packet: hardware addresses and type. */
export const ETHERNET_HEADER_LEN = 14
/**
 * Bytes of a VLAN tag (IEEE 802.1Q §9.3): with it a frame may be so much longer than `mtu` says.
 */
export const VLAN_TAG_LEN = 4

/** rxFlags: the device vouches for the transport checksum. */
export const RX_CSUM_GOOD = 1
/**
 * rxFlags: the checksum was left to hardware that was never there; the segment is from this host.
 */
export const RX_CSUM_PARTIAL = 2

/** What a device can do; fixed when it is made. */
export interface Capabilities {
  /** `push` may leave the transport checksum to the device (OFFLOAD_CSUM). */
  readonly txChecksum: boolean
  /** The largest frame, headers included, that the device cuts into segments; 0: none. */
  readonly gsoMaxBytes: number
  /** `gather` works: payload is sent from the content region without a copy. */
  readonly gather: boolean
  /** A pushed frame is sent from where it lies: ready templates pay. */
  readonly zeroCopy: boolean
}

/**
 * Offload request of one frame, packed into an int32: bit 0 checksum, bits 1–7 IP version (4 or 6),
 * bits 8–15 offset of the TCP header in the frame, bits 16–30 segment payload for GSO (0: no GSO).
 * With OFFLOAD_CSUM the TCP checksum field holds the folded, uncomplemented pseudo-header sum.
 */
export const OFFLOAD_NONE = 0
export const OFFLOAD_CSUM = 1
export function offload(ipVersion: number, l4Off: number, gsoSize: number): number {
  return OFFLOAD_CSUM | (ipVersion << 1) | (l4Off << 8) | (gsoSize << 16)
}
export const offloadIpVersion = (o: number): number => (o >> 1) & 0x7f
export const offloadL4Off = (o: number): number => (o >> 8) & 0xff
export const offloadGsoSize = (o: number): number => (o >> 16) & 0x7fff

/** What a device counts; a plain object of numbers, read from outside, never reset. */
export interface DeviceStats {
  rxFrames: number
  rxBytes: number
  rxDropped: number
  /** Of those received, frames that another worker got (spread/spread.ts). */
  rxHandedOver: number
  /** Of those received, frames of another VLAN than ours, or of none (wrap/vlan.ts). */
  rxOtherVlan: number
  txFrames: number
  txBytes: number
  /** Frames that the device took and then could not send. */
  txDropped: number
  syscalls: number
  waits: number
}

/**
 * A count of bytes at its start, which a busy server takes beyond 2^31 in seconds. V8 keeps small
 * integers in another form than other numbers, and compiles all that touches a count anew when it
 * outgrows the first; a negative zero has the other form from the start (docs/decisions.md).
 */
export const DOUBLE_ZERO: number = -0

/** Counters at zero, as every device begins. */
export const newDeviceStats = (): DeviceStats => ({
  rxFrames: 0,
  rxBytes: DOUBLE_ZERO,
  rxDropped: 0,
  rxHandedOver: 0,
  rxOtherVlan: 0,
  txFrames: 0,
  txBytes: DOUBLE_ZERO,
  txDropped: 0,
  syscalls: 0,
  waits: 0,
})

/** Packet I/O in batches. A pushed frame is the device's until `reclaim` reports it. */
export interface Device {
  /** For people: `tap:sand0`, `memory:a`. */
  readonly name: string
  /** Where received and pushed frames lie. */
  readonly region: Region
  /** The largest IP packet, bytes. */
  readonly mtu: number
  /** Our six-byte hardware address. */
  readonly mac: Uint8Array
  readonly caps: Capabilities
  readonly stats: DeviceStats
  /** Why the device is gone for good (interface removed, peer lost); '' while it lives. */
  readonly down: string

  /** Gives the previous batch back, takes the next one, returns its length (0 … BATCH_MAX). */
  rx(): number
  /** Of frame i of the batch: byte offset in `region`, length in bytes, RX_ flags. */
  readonly rxOff: Int32Array
  readonly rxLen: Int32Array
  readonly rxFlags: Int32Array

  /** How many more frames `push`/`gather` will take now. */
  txSpace(): number
  /**
   * Hands the frame [off, off+len) to the device. Needs txSpace() > 0. `request`: OFFLOAD_NONE or
   * offload().
   */
  push(off: number, len: number, request: number): void
  /**
   * As push, with `bodyLen` payload bytes from the content region behind the `len` header bytes.
   */
  gather(off: number, len: number, bodyOff: number, bodyLen: number, request: number): void
  /** Ends a batch: everything pushed goes out. */
  flush(): void
  /**
   * Sets doneOff[0 … n) to the `off` of frames that are the caller's again, in order; returns n.
   */
  reclaim(): number
  readonly doneOff: Int32Array

  /**
   * Sleeps until a frame can be received, ring space comes free, somebody calls for us, or
   * `timeoutUs` is over (-1: no limit).
   */
  wait(timeoutUs: number): void
  /**
   * The largest IP packet that goes out now: `mtu`, or less if the interface has been given a
   * smaller one since; 0 while nothing goes out: it is down, has no carrier, nobody is there. May
   * be some system calls: for when frames seem to get lost.
   */
  linkMtu(): number
  /** Releases what the device holds; idempotent. */
  close(): void
}
