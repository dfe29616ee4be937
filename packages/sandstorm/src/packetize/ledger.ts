/**
 * The ledger: what was done to payload, so that "no work is repeated" (paper §2) can be checked
 * instead of claimed. After the first client, answers from templates leave all but `templateFrames`
 * and `headPatches` as they are.
 */
import { DOUBLE_ZERO } from '@sandstorm/libnmio'

/** Which payload bytes were copied or summed, and which frames were ready. */
export interface Ledger {
  /** Payload bytes copied, heads included, the two patched fields left out. */
  payloadBytesCopied: number
  /** Payload bytes read for a checksum. */
  payloadBytesSummed: number
  /** Frames sent from ready templates. */
  templateFrames: number
  /** Ready frames made, replicas included. */
  templatesBuilt: number
  /** Of those, further copies of a frame that was still in flight. */
  replicasBuilt: number
  /** Ready frames given up for others. */
  templatesEvicted: number
  /** Date and Connection written into a ready frame. */
  headPatches: number
  /** Frames gathered from the content store without a copy of the body. */
  gatherFrames: number
  /** Frames built by copying: the memcpy variant, and pieces that fit no segment. */
  copyFrames: number
}

export const newLedger = (): Ledger => ({
  payloadBytesCopied: DOUBLE_ZERO,
  payloadBytesSummed: DOUBLE_ZERO,
  templateFrames: 0,
  templatesBuilt: 0,
  replicasBuilt: 0,
  templatesEvicted: 0,
  headPatches: 0,
  gatherFrames: 0,
  copyFrames: 0,
})
