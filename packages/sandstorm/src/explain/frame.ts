/**
 * The example of `sandstorm explain`: one ready frame as a client would get it, with documentation
 * addresses (RFC 5737), and which of its header bytes are rewritten for every client (paper §2.1).
 * Everything is computed as it is for a real one: from the sum that was made at load.
 */
import { ethernet } from '@sandstorm/libeth'
import type { Region } from '@sandstorm/libnmio'
import { checksum, formatFrame, HEADERS_LEN, ipv4, tcp } from '@sandstorm/libtcpip'

const IP = ethernet.HEADER_LEN
const TCP = IP + ipv4.HEADER_LEN
const ADDRESS = ipv4.parse('192.0.2.1')
const CLIENT = ipv4.parse('192.0.2.77')
const CLIENT_PORT = 50123
/** Start and length of what `Headers.patch` rewrites (libtcpip's tcp/headers.ts). */
const PATCHED: readonly [name: string, off: number, len: number][] = [
  ['destination MAC', 0, 6],
  ['IP checksum', IP + 10, 2],
  ['destination address', IP + 16, 4],
  ['destination port', TCP + 2, 2],
  ['sequence number', TCP + 4, 4],
  ['acknowledgment number', TCP + 8, 4],
  ['flags', TCP + 13, 1],
  ['window', TCP + 14, 2],
  ['TCP checksum', TCP + 16, 2],
]

/** Header bytes of a frame, and how many of them differ between two clients. */
export const PATCHED_BYTES: number = PATCHED.reduce((sum, [, , len]) => sum + len, 0)
export const PATCHED_NAMES: readonly string[] = PATCHED.map(([name]) => name)

/** Writes the headers of a frame whose payload lies at `payloadOff` and sums to `sum`. */
export function writeExample(
  region: Region,
  payloadOff: number,
  payloadLen: number,
  sum: number,
  isLast: boolean,
): number {
  const { view } = region
  const off = payloadOff - HEADERS_LEN
  const tcpLen = tcp.HEADER_LEN + payloadLen
  region.bytes.fill(0, off, payloadOff)
  ethernet.setDst(view, off, 0x0200, 0x77)
  ethernet.setSrc(view, off, 0x0200, 0x01)
  ethernet.setType(view, off, ethernet.TYPE_IPV4)
  ipv4.setHeaderLen(view, off + IP, ipv4.HEADER_LEN)
  ipv4.setTotalLen(view, off + IP, ipv4.HEADER_LEN + tcpLen)
  ipv4.setFragment(view, off + IP, ipv4.DONT_FRAGMENT)
  ipv4.setTtl(view, off + IP, 64)
  ipv4.setProtocol(view, off + IP, ipv4.PROTO_TCP)
  ipv4.setSrc(view, off + IP, ADDRESS)
  ipv4.setDst(view, off + IP, CLIENT)
  const ipSum = checksum.sum(view, off + IP, ipv4.HEADER_LEN)
  ipv4.setChecksum(view, off + IP, checksum.finish(ipSum))
  tcp.setSrcPort(view, off + TCP, 80)
  tcp.setDstPort(view, off + TCP, CLIENT_PORT)
  tcp.setSeq(view, off + TCP, 0x5a4d0001)
  tcp.setAck(view, off + TCP, 0x1c0ffee1)
  tcp.setHeaderLen(view, off + TCP, tcp.HEADER_LEN)
  tcp.setFlags(view, off + TCP, isLast ? tcp.ACK | tcp.PSH : tcp.ACK)
  tcp.setWindow(view, off + TCP, 16384)
  const pseudo = ipv4.pseudoSum(ADDRESS, CLIENT, ipv4.PROTO_TCP, tcpLen)
  const headerSum = checksum.sum(view, off + TCP, tcp.HEADER_LEN)
  tcp.setChecksum(view, off + TCP, checksum.finish(checksum.fold(pseudo + headerSum + sum)))
  return off
}

/** The frame in one line, and its headers in hex with the patched bytes underlined. */
export function formatExample(region: Region, off: number, len: number): string {
  const lines = [formatFrame(region.view, off, len), '']
  for (let at = 0; at < HEADERS_LEN; at += 16) {
    const end = Math.min(at + 16, HEADERS_LEN)
    const bytes = Array.from(region.bytes.subarray(off + at, off + end))
    const hex = bytes.map(byte => byte.toString(16).padStart(2, '0')).join(' ')
    const marks = bytes.map((_, i) => (isPatched(at + i) ? '^^' : '  ')).join(' ')
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex}`, `      ${marks}`.trimEnd())
  }
  return lines.join('\n')
}

const isPatched = (at: number): boolean =>
  PATCHED.some(([, off, len]) => at >= off && at < off + len)
