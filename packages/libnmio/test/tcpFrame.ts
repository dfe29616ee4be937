/** TCP segments for tests, and the checksum as a reader of RFC 1071 would first write it. */

/** The 16-bit one's complement sum of the bytes; an odd one counts as a high byte. */
function sum(bytes: Iterable<number>): number {
  let total = 0
  let high = true
  for (const byte of bytes) {
    total += high ? byte << 8 : byte
    high = !high
  }
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return total
}

const l4Off = (frame: Uint8Array): number => (frame[14] >> 4 === 4 ? 34 : 54)

/** The pseudo-header of RFC 9293 §3.1 or RFC 8200 §8.1 for the frame's whole segment. */
function pseudoHeader(frame: Uint8Array): number[] {
  const len = frame.length - l4Off(frame)
  const addresses = l4Off(frame) === 34 ? frame.slice(26, 34) : frame.slice(22, 54)
  return [...addresses, 0, 6, len >> 8, len & 0xff]
}

/**
 * A TCP segment over IPv4 or IPv6 with `payloadLen` bytes; its checksum is right, or with
 * `partial` what a sender leaves for hardware to complete.
 */
export function tcpFrame(ipVersion: 4 | 6, payloadLen: number, partial = false): Uint8Array {
  const l4 = ipVersion === 4 ? 34 : 54
  const frame = new Uint8Array(l4 + 20 + payloadLen)
  const view = new DataView(frame.buffer)
  frame.set([0x02, 0, 0, 0, 0, 0x0b, 0x02, 0, 0, 0, 0, 0x0a])
  if (ipVersion === 4) {
    view.setUint16(12, 0x0800)
    frame.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 2, 10, 77, 0, 1], 14)
    view.setUint16(16, 20 + 20 + payloadLen)
    view.setUint16(24, ~sum(frame.subarray(14, 34)) & 0xffff)
  } else {
    view.setUint16(12, 0x86dd)
    frame.set([0x60, 0, 0, 0, 0, 0, 6, 64, 0xfd, 0x77], 14)
    view.setUint16(18, 20 + payloadLen)
    frame[37] = 2
    frame.set([0xfd, 0x77], 38)
    frame[53] = 1
  }
  frame.set([0, 80, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff], l4)
  for (let i = 0; i < payloadLen; i++) frame[l4 + 20 + i] = (i * 13) & 0xff
  const pseudo = pseudoHeader(frame)
  const segment = [...frame.subarray(l4)]
  view.setUint16(l4 + 16, partial ? sum(pseudo) : ~sum([...pseudo, ...segment]) & 0xffff)
  return frame
}

/** The TCP checksum and, for IPv4, the header checksum are right. */
export function checksumsHold(frame: Uint8Array): boolean {
  const ip = l4Off(frame) === 54 || sum(frame.subarray(14, 34)) === 0xffff
  return ip && sum([...pseudoHeader(frame), ...frame.subarray(l4Off(frame))]) === 0xffff
}
