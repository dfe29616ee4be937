/**
 * Control segments: what TCP sends of itself, without payload (SYN, SYN-ACK, ACK, FIN, RST). Their
 * headers are those of all others (headers.ts); options that data segments do not have, of a SYN
 * and of selective acknowledgements, lie where a payload would and are summed as one.
 */
import { NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import { fold, sum } from '../wire/checksum.ts'
import * as wire from '../wire/tcp.ts'
import { synAckFlag, synFlags } from './congestion/ecn.ts'
import { tcpOff } from './ipHeader.ts'
import { isReachable } from './path/neighbour.ts'
import { writeSackOption } from './sackBlocks.ts'
import { SYN_SENT } from './state.ts'
import { FRAME_KEY, SND_UNA, STATE } from './tcb.ts'
import type { Tcp } from './tcp.ts'
import { advertiseUnscaled } from './window.ts'

/**
 * Writes all headers of the SYN-ACK, or in SYN-SENT of the SYN, whose options, `len` bytes in whole
 * words, lie at `optionsOff`, and returns the offset of the frame's first byte.
 */
export function writeSynAck(tcp: Tcp, c: number, optionsOff: number, len: number): number {
  const { tcb, headers } = tcp
  const isSyn = tcb[c + STATE] === SYN_SENT
  const flags = isSyn ? wire.SYN | synFlags(tcb, c) : wire.SYN | wire.ACK | synAckFlag(tcb, c)
  headers.beginSyn(c, len, advertiseUnscaled(tcp, c))
  const optionsSum = sum(tcp.frames.region.view, optionsOff, len)
  return headers.writeControl(optionsOff + len, tcb[c + SND_UNA], 0, flags, optionsSum)
}

/** Pushes a segment without payload on a connection; false if there is no room for it now. */
export function sendControl(tcp: Tcp, c: number, seq: number, flags: number): boolean {
  if (tcp.device.txSpace() === 0 || !isReachable(tcp, c)) return false
  const frame = tcp.frames.alloc()
  if (frame === NO_FRAME) return false
  const { view } = tcp.frames.region
  const optionOff = tcp.frames.payloadOff(frame)
  const len = flags === wire.ACK ? writeSackOption(tcp, c, view, optionOff) : 0
  // Counted as payload, then the header grows.
  const optionSum = len > 0 ? fold(sum(view, optionOff, len) + (len << 10)) : 0
  tcp.headers.beginControl(c)
  const off = tcp.headers.writeControl(optionOff, seq, len, flags, optionSum)
  const header = off + tcpOff(tcp.tcb[c + FRAME_KEY])
  if (len > 0) wire.setHeaderLen(view, header, optionOff + len - header)
  tcp.stats.outSegs++
  tcp.frames.sent(frame)
  tcp.device.push(off, optionOff + len - off, OFFLOAD_NONE)
  return true
}
