/**
 * How much of everything an AF_XDP device has: chunks of packet memory, and entries of its four
 * rings. A frame of up to MTU_ONE_CHUNK lies in one chunk. A larger one lies in several
 * (af_xdp.rst, "Multi-Buffer Support"), with a descriptor each: the rings that say what is sent
 * have room for as many pieces as frames can be cut into.
 *
 * Chunks are aligned. Unaligned ones would spare no cut: no descriptor is longer than a chunk
 * either way, and a driver that sends without a copy wants pages that follow each other.
 */
import { ETHERNET_HEADER_LEN } from '../device.ts'
import { pagesOf } from '../sys/mapping.ts'
import { XDP_HEADROOM, type XskRings } from '../sys/xsk.ts'
import { ringBytes } from './ring.ts'

/** A frame lies in one chunk, a page at most, with what the kernel keeps in front and behind it. */
export const MTU_ONE_CHUNK = 3498
/** The jumbo frame that network cards agree on. */
export const MTU_MAX = 9000

/** A burst of so many frames finds room. */
export const RX_CHUNKS = 4096
/** Frames on their way out; a power of two. */
export const TX_SLOTS = 1024
/**
 * Chunks that a frame of MTU_MAX lies in at most, wherever it begins; a power of two. A packet may
 * have 18 where the kernel copies, and usually five at least with a driver that does not
 * (af_xdp.rst).
 */
const PIECES_MAX = 4

/**
 * linux/if_xdp.h: struct xdp_desc { u64 addr; u32 len, options }; fill and completion hold u64
 * addresses.
 */
export const DESC_LEN = 16
export const ADDRESS_LEN = 8

/** Do the longest frames lie in several chunks? */
export const isMultiBuffer = (mtu: number): boolean => mtu > MTU_ONE_CHUNK

/** Chunks that a frame lies in at most. */
export const piecesOf = (mtu: number): number => (isMultiBuffer(mtu) ? PIECES_MAX : 1)

/**
 * A chunk holds a frame of the MTU, or as much as a page does, and what the kernel keeps in front.
 */
export const chunkBytes = (mtu: number): number =>
  mtu + ETHERNET_HEADER_LEN + XDP_HEADROOM <= 2048 ? 2048 : 4096

export function ringsFor(mtu: number): XskRings {
  const sent = TX_SLOTS * piecesOf(mtu)
  return { fill: RX_CHUNKS, rx: RX_CHUNKS, tx: sent, completion: sent }
}

/** Bytes of the region that the rings and the receive chunks take, alignment included. */
export function layoutBytes(mtu: number): number {
  const rings = ringsFor(mtu)
  const received = ringBytes(rings.fill, ADDRESS_LEN) + ringBytes(rings.rx, DESC_LEN)
  const sent = ringBytes(rings.tx, DESC_LEN) + ringBytes(rings.completion, ADDRESS_LEN)
  return received + sent + RX_CHUNKS * chunkBytes(mtu) + 2 * pagesOf(1)
}
