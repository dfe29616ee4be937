/**
 * What TCP's counters are called elsewhere: in RFC 4022, by nstat(8), and in the words of netstat
 * -s (net-tools 2.10). Where the kernel has no such counter the name begins with Sandstorm; where
 * it has, what counts may differ in the details, as ours are counted by our stack.
 */
import type { TcpStats } from '@sandstorm/libtcpip'

export interface CounterName {
  /** RFC 4022 §3; '' if it is not in there. */
  readonly rfc4022: string
  readonly nstat: string
  /** Behind the number; '' where netstat -s has no words and prints `NAME: number`. */
  readonly text: string
}

const rfc4022 = (name: string, text: string): CounterName => ({
  rfc4022: `tcp${name}`,
  nstat: `Tcp${name}`,
  text,
})
const linux = (name: string, text = ''): CounterName => ({
  rfc4022: '',
  nstat: `TcpExt${name}`,
  text,
})
const ours = (name: string, text: string): CounterName => ({
  rfc4022: '',
  nstat: `Sandstorm${name}`,
  text,
})

/** Every counter of TcpStats, in the order in which they are printed. */
export const COUNTER_NAMES: Readonly<Record<keyof TcpStats, CounterName>> = {
  activeOpens: rfc4022('ActiveOpens', 'active connection openings'),
  passiveOpens: rfc4022('PassiveOpens', 'passive connection openings'),
  attemptFails: rfc4022('AttemptFails', 'failed connection attempts'),
  estabResets: rfc4022('EstabResets', 'connection resets received'),
  inSegs: rfc4022('InSegs', 'segments received'),
  outSegs: rfc4022('OutSegs', 'segments sent out'),
  retransSegs: rfc4022('RetransSegs', 'segments retransmitted'),
  inErrs: rfc4022('InErrs', 'bad segments received'),
  outRsts: rfc4022('OutRsts', 'resets sent'),
  syncookiesSent: linux('SyncookiesSent', 'SYN cookies sent'),
  syncookiesRecv: linux('SyncookiesRecv', 'SYN cookies received'),
  syncookiesFailed: linux('SyncookiesFailed', 'invalid SYN cookies received'),
  delayedAcks: linux('DelayedACKs', 'delayed acks sent'),
  renoRecoveries: linux(
    'TCPRenoRecovery',
    'times recovered from packet loss due to fast retransmit',
  ),
  sackRecoveries: linux(
    'TCPSackRecovery',
    'times recovered from packet loss by selective acknowledgements',
  ),
  sackReneging: linux('TCPSACKReneging', 'bad SACK blocks received'),
  lostRetransmits: linux('TCPLostRetransmit', 'retransmits lost'),
  timeouts: linux('TCPTimeouts', 'other TCP timeouts'),
  lossProbes: linux('TCPLossProbes'),
  lossProbeRecoveries: linux('TCPLossProbeRecovery'),
  spuriousRtos: linux('TCPSpuriousRTOs'),
  abortsOnTimeout: linux('TCPAbortOnTimeout', 'connections aborted due to timeout'),
  outOfOrderSegs: linux('TCPOFOQueue'),
  challengeAcks: linux('TCPChallengeACK'),
  zeroWindowProbes: linux('TCPWinProbe'),
  keepAlives: linux('TCPKeepAlive'),
  // Linux has four (TCPFullUndo, TCPPartialUndo, TCPDSACKUndo, TCPLossUndo) for what is one here.
  undos: ours('Undos', 'congestion windows recovered without slow start'),
  // TWRecycled counts reuse by timestamps alone.
  timeWaitReuses: ours('TimeWaitReuses', 'time wait connections opened anew'),
  coalescedAcks: ours('CoalescedAcks', 'acknowledgments superseded within a batch'),
  ceSegs: ours('CeSegs', 'data segments received that the network has marked'),
  ecnReductions: ours('EcnReductions', 'windows reduced since the network marked packets'),
  pathMtuReductions: ours(
    'PathMtuReductions',
    'connections that a router or our interface has told a smaller MTU',
  ),
  blackHoles: ours('BlackHoles', 'times that only large segments seemed to be lost'),
  pacingDelays: ours('PacingDelays', 'bursts that pacing held back'),
  limitedAnswers: ours('LimitedAnswers', 'answers to suspicious segments not sent'),
}
