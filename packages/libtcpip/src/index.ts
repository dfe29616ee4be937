// The wire: headers, sums, text, and the reasons why a packet is dropped.
export * as drops from './drops.ts'
export { DROP_COUNT, DROP_NAMES } from './drops.ts'
export { SipHash } from './siphash.ts'
export * as checksum from './wire/checksum.ts'
export { formatFrame } from './wire/format.ts'
export * as icmp from './wire/icmp.ts'
export * as ipv4 from './wire/ipv4.ts'
export * as tcp from './wire/tcp.ts'
export {
  pad,
  TcpOptions,
  writeMss,
  writeWindowScale,
} from './wire/tcpOptions.ts'
