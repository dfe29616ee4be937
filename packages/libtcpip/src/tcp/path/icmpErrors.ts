/**
 * What ICMP errors do to connections (RFC 9293 §3.9.2.2, RFC 5927). They are easily forged, so one
 * counts only if it quotes a segment that is in flight now, and even then ends nothing that both
 * sides have agreed on: every error is soft once a connection is synchronized (MUST-56;
 * RFC 5927 §5.2 on the hard ones), and the retransmission timer decides. Before that a hard error
 * ends the attempt, whose first segment it quotes, and a soft one is left to the timer, too
 * (RFC 5461 §2).
 *
 * A packet that was too big is path MTU discovery's (pathMtu.ts).
 */
import { OK } from '@sandstorm/libeth'
import { NOT_LOCAL } from '../../addresses.ts'
import { TCP_ICMP_SOFT, TCP_ICMP_STRAY } from '../../drops.ts'
import type { IcmpError } from '../../icmp/icmpError.ts'
import * as icmp from '../../wire/icmp.ts'
import * as icmpv6 from '../../wire/icmpv6.ts'
import { RESET } from '../ending.ts'
import { le, lt } from '../seq.ts'
import * as state from '../state.ts'
import { NO_CONN, SND_NXT, SND_UNA, STATE } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { onTooBig } from './pathMtu.ts'

/** Takes an error about a segment of ours; returns OK or the reason why it changed nothing. */
export function onIcmpError(tcp: Tcp, error: IcmpError): number {
  const tcb = tcp.tcb
  const c = find(tcp, error)
  if (c === NO_CONN) return TCP_ICMP_STRAY
  const isInFlight = le(tcb[c + SND_UNA], error.seq) && lt(error.seq, tcb[c + SND_NXT])
  if (!isInFlight) return TCP_ICMP_STRAY
  if (isTooBig(error)) return onTooBig(tcp, c, error)
  if (state.isSynchronized(tcb[c + STATE]) || !isHard(error)) return TCP_ICMP_SOFT
  tcp.stats.attemptFails++
  tcp.setState(c, state.ABORT)
  tcp.release(c, RESET)
  return OK
}

function find(
  tcp: Tcp,
  { version, remote, local: ours, remotePort, localPort }: IcmpError,
): number {
  const ports = (remotePort << 16) | localPort
  if (version === 4) {
    const local = tcp.addresses.findV4(ours[0])
    return local === NOT_LOCAL ? NO_CONN : tcp.table.find4(remote[0], local, ports)
  }
  const local = tcp.addresses.findV6(ours[0], ours[1], ours[2], ours[3])
  if (local === NOT_LOCAL) return NO_CONN
  return tcp.table.find6(remote[0], remote[1], remote[2], remote[3], local, ports)
}

const isTooBig = ({ version, type, code }: IcmpError): boolean =>
  version === 6
    ? type === icmpv6.PACKET_TOO_BIG
    : type === icmp.DESTINATION_UNREACHABLE && code === icmp.FRAGMENTATION_NEEDED

/** Nobody there speaks TCP, or listens on that port (RFC 1122 §4.2.3.9). */
function isHard({ version, type, code }: IcmpError): boolean {
  if (version === 4) {
    const isUnreachable = type === icmp.DESTINATION_UNREACHABLE
    return isUnreachable && (code === icmp.PROTOCOL_UNREACHABLE || code === icmp.PORT_UNREACHABLE)
  }
  return type === icmpv6.DESTINATION_UNREACHABLE
    ? code === icmpv6.PORT_UNREACHABLE
    : type === icmpv6.PARAMETER_PROBLEM && code === icmpv6.UNKNOWN_NEXT_HEADER
}
