/** ICMP errors of a scripted router: about a segment of ours, as routers quote it (RFC 792). */
import { ethernet } from '@sandstorm/libeth'
import { checksum, icmp, ipv4, tcp } from '../../src/index.ts'
import { type Host, OUR_ADDR, OUR_PORT, PEER_ADDR, PEER_PORT } from './host.ts'
import { setIpChecksum, writeIpv4 } from './segment.ts'

export const ROUTER_ADDR: number = ipv4.parse('192.0.2.1')

/** What is left out is about the first byte of the connection to PEER_PORT. */
export interface IcmpScript {
  type?: number
  code?: number
  mtu?: number
  /** Relative to our ISN. */
  seq?: number
  port?: number
  local?: number
  remote?: number
  localPort?: number
  /** Bytes of the quoted packet's payload. */
  quoted?: number
  protocol?: number
  /** Changes the message; `quote` is the quoted IPv4 header, then its checksum is made right. */
  spoil?: (view: DataView, quote: number, message: number) => void
}

/** The router sends an error about one of our segments, and the stack is polled. */
export function sendIcmp(t: Host, script: IcmpScript): void {
  t.inject((view, off) => {
    const message = off + ethernet.HEADER_LEN + ipv4.HEADER_LEN
    const quote = message + icmp.HEADER_LEN
    const segment = quote + ipv4.HEADER_LEN
    const quoted = script.quoted ?? 8
    const port = script.port ?? PEER_PORT
    const { local = OUR_ADDR, remote = PEER_ADDR, localPort = OUR_PORT } = script
    writeIpv4(view, quote - ethernet.HEADER_LEN, t.link, local, remote, ipv4.PROTO_TCP, 1460)
    ipv4.setProtocol(view, quote, script.protocol ?? ipv4.PROTO_TCP)
    for (let i = 0; i < quoted; i++) view.setUint8(segment + i, 0)
    if (quoted >= 2) tcp.setSrcPort(view, segment, localPort)
    if (quoted >= 4) tcp.setDstPort(view, segment, port)
    if (quoted >= 8) tcp.setSeq(view, segment, (t.iss(port) + (script.seq ?? 1)) | 0)
    const len = icmp.HEADER_LEN + ipv4.HEADER_LEN + quoted
    view.setUint32(message + 4, script.mtu ?? 0)
    icmp.setType(view, message, script.type ?? icmp.DESTINATION_UNREACHABLE)
    icmp.setCode(view, message, script.code ?? icmp.FRAGMENTATION_NEEDED)
    script.spoil?.(view, quote, message)
    icmp.setChecksum(view, message, 0)
    icmp.setChecksum(view, message, checksum.finish(checksum.sum(view, message, len)))
    writeIpv4(view, off, t.link, ROUTER_ADDR, OUR_ADDR, ipv4.PROTO_ICMP, len)
    setIpChecksum(view, off)
    return message + len - off
  })
}

/** A router's "fragmentation needed" (RFC 1191 §4). */
export const tooBig = (t: Host, mtu: number, script: IcmpScript = {}): void =>
  sendIcmp(t, { ...script, mtu })
