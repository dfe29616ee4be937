export {
  ADDRESS_STATES_BYTES,
  ADDRESSES_MAX,
  Addresses,
  type IpAddress,
  ipv4Address,
  ipv6Address,
} from './addresses.ts'
// The wire: headers, sums, text, and the reasons why a packet is dropped.
export * as drops from './drops.ts'
export { DROP_COUNT, DROP_NAMES } from './drops.ts'
export { IcmpError } from './icmp/icmpError.ts'
export { ERRORS_BURST, ERRORS_PER_SECOND } from './icmp/icmpv6Error.ts'
export { Icmpv6Output } from './icmp/icmpv6Output.ts'
export { Ipv6Headers } from './ip/ipv6Headers.ts'
export type { Ipv6Host } from './ip/ipv6Host.ts'
export { ipv6Input } from './ip/ipv6Input.ts'
export { Ndp, type NdpOptions } from './ndp/ndp.ts'
export type { NdpStats } from './ndp/ndpSender.ts'
export { DUPLICATE, type OwnAddresses, TENTATIVE, VALID } from './ndp/ownAddresses.ts'
export { TokenBucket } from './rateLimit.ts'
export { SipHash } from './siphash.ts'
export { Stack, type StackOptions, withLinkLocal } from './stack.ts'
// Byte streams, for applications that want no more than that.
export { runLoop } from './stream/loop.ts'
export { Stream, type StreamHandler } from './stream/stream.ts'
export { Streams, type StreamsOptions, streamsRegionBytes } from './stream/streams.ts'
// The stack: what an application is built on.
export { abort, forgetHalfOpen } from './tcp/abort.ts'
export { type Application, BUSY } from './tcp/application.ts'
export { TCP_DEFAULTS, type TcpConfig } from './tcp/config.ts'
export {
  type CongestionControl,
  initialWindow,
  SSTHRESH_NONE,
} from './tcp/congestion/congestion.ts'
export { Cubic } from './tcp/congestion/cubic.ts'
export { NewReno } from './tcp/congestion/newreno.ts'
export * as ending from './tcp/ending.ts'
export { HEADERS_LEN, Headers, headersLen, SUM_BY_DEVICE } from './tcp/headers.ts'
export { tcpOff } from './tcp/ipHeader.ts'
export { connect } from './tcp/opening/connect.ts'
export { output } from './tcp/output.ts'
export { findFirstHop, STATION_WORDS, setFirstHop } from './tcp/path/firstHop.ts'
export * as flight from './tcp/recovery/flight.ts'
export { Segment } from './tcp/segmentVariables.ts'
export * as seq from './tcp/seq.ts'
export * as state from './tcp/state.ts'
export type { TcpStats } from './tcp/stats.ts'
export * as tcb from './tcp/tcb.ts'
export { Tcp, type TcpPorts } from './tcp/tcp.ts'
export * as checksum from './wire/checksum.ts'
export { formatFrame } from './wire/format.ts'
export * as icmp from './wire/icmp.ts'
export * as icmpv6 from './wire/icmpv6.ts'
export * as ipv4 from './wire/ipv4.ts'
export * as ipv6 from './wire/ipv6.ts'
export * as ndp from './wire/ndp.ts'
export * as tcp from './wire/tcp.ts'
export {
  pad,
  TcpOptions,
  writeMss,
  writeWindowScale,
} from './wire/tcpOptions.ts'
