/**
 * ACKs for segments that may be forged: challenge ACKs (RFC 5961 §3, §4, §5), and answers to empty
 * segments out of the window (RFC 9293 §3.10.7.4). Only the true peer can make use of them; whoever
 * forges many must not make us send as many, and two ends that have lost each other must not
 * answer one another for ever.
 *
 * The budget (RFC 5961 §7) is the connection's own and kept in its TCB. One budget for all would
 * tell an outsider, by what is left of it for himself, whether he has hit a stranger's connection
 * (CVE-2016-5696).
 */
import { FIN, RST, SYN } from '../../wire/tcp.ts'
import { acknowledgeNow } from '../receive.ts'
import { hasDuplicate } from '../sackBlocks.ts'
import { CHALLENGES, NEED_ACK } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** ACKs of this kind that a connection sends in a second (of 1024 ms), at most. */
export const CHALLENGE_MAX = 10

const SECOND_BITS = 10
/** CHALLENGES is the second, and in its low bits how many were sent in it. */
const COUNT_BITS = 4
const COUNT_MASK = (1 << COUNT_BITS) - 1

/** Drops the segment for `reason` and answers with an ACK, at most one a batch. */
export function challenge(tcp: Tcp, c: number, reason: number): number {
  if (takeChallenge(tcp, c)) {
    tcp.stats.challengeAcks++
    tcp.addWork(c, NEED_ACK)
  } else {
    tcp.stats.limitedAnswers++
  }
  return tcp.drop(reason)
}

/**
 * Drops a segment that is out of the window, or older than its timestamp allows, for `reason`; the
 * peer is told where we are. Data or a FIN is what a peer sends again that has lost our ACK, so it
 * is always answered; an empty segment may be half of a loop, and an RST is never answered.
 */
export function answerUnacceptable(tcp: Tcp, c: number, reason: number): number {
  const { flags, payloadLen } = tcp.segment
  if (flags & RST) return tcp.drop(reason)
  const isRepetition = (payloadLen > 0 || (flags & FIN) !== 0) && (flags & SYN) === 0
  if (!isRepetition) return challenge(tcp, c, reason)
  if (hasDuplicate(tcp, c)) acknowledgeNow(tcp, c)
  else tcp.addWork(c, NEED_ACK)
  return tcp.drop(reason)
}

/** Is there some of the connection's budget left? Then it is one less. */
function takeChallenge(tcp: Tcp, c: number): boolean {
  const tcb = tcp.tcb
  const second = (tcp.nowMs >> SECOND_BITS) << COUNT_BITS
  const before = tcb[c + CHALLENGES]
  const count = (before & ~COUNT_MASK) === second ? before & COUNT_MASK : 0
  if (count >= CHALLENGE_MAX) return false
  tcb[c + CHALLENGES] = second | (count + 1)
  return true
}
