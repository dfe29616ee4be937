/**
 * How rings lie in shared memory (memif.h: memif_ring_t, memif_desc_t), and what a client's memory
 * consists of: its two rings, buffers for the server to fill, and frames that are sent from where
 * they lie.
 *
 *   | ring, client to server | ring, server to client | buffers | frames …
 */

/** memif_ring_t, in bytes: both sides' halves have cache lines of their own. */
export const RING_COOKIE = 0
export const RING_FLAGS = 4
export const RING_HEAD = 6
export const RING_TAIL = 64
export const RING_DESCS = 128
export const COOKIE = 0x3e31f20
/** RING_FLAGS: whoever consumes looks by himself, and wants no interrupt. */
export const MASK_INT = 1

/** memif_desc_t { u16 flags, region; u32 length, offset, metadata }, in bytes, and as words. */
export const DESC_LEN = 16
export const DESC_WORDS = 4
export const DESC_LENGTH = 1
export const DESC_OFFSET = 2
/** The frame goes on in the next descriptor. */
export const DESC_NEXT = 1

/** With 16-bit indices a ring of 2^15 would leave no doubt either; DPDK's are 2^14 at most. */
export const RING_LOG2_MAX = 14

/**
 * Buffers are of DPDK's own default size, and no descriptor of ours says more: its receiver trusts
 * that.
 */
export const BUFFER_LEN = 2048

export const ringBytes = (log2: number): number => RING_DESCS + (DESC_LEN << log2)

/** Where the rings and buffers of a client lie in its memory. */
export const S2M_OFF = 0
export const m2sOff = (log2: number): number => ringBytes(log2)
export const buffersOff = (log2: number): number => Math.ceil((2 * ringBytes(log2)) / 64) * 64
/** Bytes in front of the frames. */
export const headBytes = (log2: number): number => buffersOff(log2) + (BUFFER_LEN << log2)

/** Descriptors that a frame of `len` bytes takes. */
export const piecesOf = (len: number): number => Math.ceil(len / BUFFER_LEN)
