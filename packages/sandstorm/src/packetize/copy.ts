/**
 * The memcpy variant (paper §3, Figures 3 and 4): segments as the templates have them, checksums
 * known beforehand, but each frame's payload is copied when it is sent. It suits devices that copy
 * anyway, and shows what finished packets are worth on those that do not.
 */
import type { Layout } from './layouts.ts'
import { SegmentTransmitter } from './segmented.ts'

export class CopyTransmitter extends SegmentTransmitter {
  protected override sendSegment(
    a: number,
    at: number,
    len: number,
    layout: Layout,
    k: number,
  ): number {
    return this.builder.sendSegment(a, at, len, layout.sums[k])
  }
}
