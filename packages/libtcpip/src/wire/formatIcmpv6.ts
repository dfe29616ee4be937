/**
 * ICMPv6 messages as text, in tcpdump's words: the part of a line behind the addresses.
 *
 * Invariant: any bytes give text, and no byte at or behind `end` is read.
 */
import * as icmpv6 from './icmpv6.ts'
import * as ipv6 from './ipv6.ts'
import * as ndp from './ndp.ts'

const MLD2_RECORD_LEN = 20

const UNREACHABLE: readonly string[] = [
  'unreachable route',
  'unreachable prohibited',
  'beyond scope',
  'unreachable address',
  'unreachable port',
  'unreachable source policy',
  'rejected route',
]
const PROBLEMS: readonly string[] = ['erroneous', 'next header', 'option']

/** The message of `len` bytes at `off`, of which those before `end` are there. */
export function formatIcmpv6(view: DataView, off: number, end: number, len: number): string {
  if (end - off < icmpv6.HEADER_LEN) return `ICMP6 [|icmp6], length ${len}`
  return `ICMP6, ${formatMessage(view, off, end)}, length ${len}`
}

function formatMessage(view: DataView, off: number, end: number): string {
  const type = icmpv6.type(view, off)
  const code = icmpv6.code(view, off)
  const info = icmpv6.info(view, off)
  switch (type) {
    case icmpv6.DESTINATION_UNREACHABLE:
      return `destination unreachable, ${UNREACHABLE[code] ?? `code ${code}`}`
    case icmpv6.PACKET_TOO_BIG:
      return `packet too big, mtu ${info}`
    case icmpv6.TIME_EXCEEDED:
      return code === 0 ? 'time exceeded in-transit' : `time exceeded, code ${code}`
    case icmpv6.PARAMETER_PROBLEM:
      return `parameter problem, ${PROBLEMS[code] ?? `code ${code}`} - octet ${info}`
    case icmpv6.ECHO_REQUEST:
    case icmpv6.ECHO_REPLY: {
      const kind = type === icmpv6.ECHO_REQUEST ? 'request' : 'reply'
      return `echo ${kind}, id ${icmpv6.id(view, off)}, seq ${icmpv6.sequence(view, off)}`
    }
    case icmpv6.MLD_QUERY:
      return 'multicast listener query'
    case icmpv6.MLD2_REPORT:
      return formatReport(view, off, end)
  }
  return ndp.isNdp(type) ? formatNdp(view, off, end, type) : `type ${type} code ${code}`
}

function formatNdp(view: DataView, off: number, end: number, type: number): string {
  if (type === icmpv6.ROUTER_SOLICITATION) return 'router solicitation'
  if (type === icmpv6.ROUTER_ADVERTISEMENT) return 'router advertisement'
  const isRedirect = type === icmpv6.REDIRECT
  if (end - off < (isRedirect ? ndp.destinationOff(0) + ipv6.ADDRESS_LEN : ndp.HEADER_LEN)) {
    return `${isRedirect ? 'redirect' : 'neighbor'} [|icmp6]`
  }
  const target = ipv6.formatAt(view, ndp.targetOff(off))
  if (isRedirect) return `redirect, ${ipv6.formatAt(view, ndp.destinationOff(off))} to ${target}`
  if (type === icmpv6.NEIGHBOUR_SOLICITATION) return `neighbor solicitation, who has ${target}`
  return `neighbor advertisement, tgt is ${target}`
}

/** As tcpdump -v does, with the groups. */
function formatReport(view: DataView, off: number, end: number): string {
  const count = icmpv6.info(view, off) & 0xffff
  let text = `multicast listener report v2, ${count} group record(s)`
  let at = off + icmpv6.HEADER_LEN
  for (let i = 0; i < count && at + MLD2_RECORD_LEN <= end; i++) {
    text += ` [gaddr ${ipv6.formatAt(view, at + 4)}]`
    // Behind a record lie its sources and auxiliary data.
    at += MLD2_RECORD_LEN + view.getUint16(at + 2) * ipv6.ADDRESS_LEN + view.getUint8(at + 1) * 4
  }
  return text
}
