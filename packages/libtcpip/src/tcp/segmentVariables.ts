/**
 * Current segment variables (RFC 9293 §3.3.1, table 4): SEG.SEQ and its like, of the segment being
 * processed, read once from its headers; and between whom it goes.
 */
export class Segment {
  seq = 0
  ack = 0
  flags = 0
  /** As in the header, unscaled. */
  window = 0
  payloadOff = 0
  payloadLen = 0
  /** The sender's address; IPv4 in the first word, the others 0. Set by the IP layer, as … */
  remote0 = 0
  remote1 = 0
  remote2 = 0
  remote3 = 0
  /** … which of our addresses it came to (addresses.ts), … */
  local = 0
  /** … what headers an answer has: 0, or KIND_IPV6 … */
  kind = 0
  /** … and the ECN codepoint (wire/ipv4.ts). */
  ecn = 0
  /** Hardware address of whom the frame came from; 0: not noted (neighbour.ts). */
  stationHi = 0
  stationLo = 0
  /** Remote port << 16 | local port, as in the TCB. */
  ports = 0
  /** Byte offset of the TCP header, for options. */
  headerOff = 0
}
