/**
 * What cases are written in: the probe and its flows, segments, options, and frames of neighbours.
 */
export { Flow } from './flow.ts'
export { arpFrame, icmpv6Frame, solicitation } from './neighbours.ts'
export { Probe } from './probe.ts'
export type { Segment, Send } from './segment.ts'
export {
  hasSackOk,
  mss,
  mssOf,
  option,
  sack,
  sackOf,
  sackOk,
  timestamps,
  timestampsOf,
  wscale,
  wscaleOf,
} from './tcpOptions.ts'
