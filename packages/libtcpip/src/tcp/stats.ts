/** TCP's counters, named after RFC 4022 and `netstat -s`; plain numbers, never reset. */
export interface TcpStats {
  activeOpens: number
  passiveOpens: number
  attemptFails: number
  estabResets: number
  inSegs: number
  inErrs: number
  /** Segments that were queued behind a hole; those without room are drops. */
  outOfOrderSegs: number
  /** Pure ACKs that a later one of the same batch made superfluous; not in inSegs. */
  coalescedAcks: number
  outSegs: number
  outRsts: number
  retransSegs: number
  /** Episodes of fast recovery, by SACKs and by duplicate ACKs. */
  sackRecoveries: number
  renoRecoveries: number
  timeouts: number
  lossProbes: number
  /** Tail losses that a probe repaired. */
  lossProbeRecoveries: number
  /** Retransmissions that were lost themselves. */
  lostRetransmits: number
  /** Episodes of recovery that turned out to be none, and time-outs among them. */
  undos: number
  spuriousRtos: number
  /** Peers that threw away what they had selectively acknowledged. */
  sackReneging: number
  /**
   * Data segments that arrived with congestion experienced, and reductions that echoes asked for.
   */
  ceSegs: number
  ecnReductions: number
  /**
   * Connections whose segments became smaller: by a router's message, and since large ones
   * vanished.
   */
  pathMtuReductions: number
  blackHoles: number
  zeroWindowProbes: number
  challengeAcks: number
  /** ACKs that waited in vain for data to go with. */
  delayedAcks: number
  /** Bursts that pacing held back. */
  pacingDelays: number
  /** Keep-alives that we sent. */
  keepAlives: number
  /** RSTs and ACKs not sent, since forged segments can provoke any number of them. */
  limitedAnswers: number
  /** SYNs answered without being remembered (synCookies.ts). */
  syncookiesSent: number
  /** Connections that such an answer made. */
  syncookiesRecv: number
  /** ACKs of no connection, while cookies were about, that held none. */
  syncookiesFailed: number
  timeWaitReuses: number
  abortsOnTimeout: number
}

export const newTcpStats = (): TcpStats => ({
  activeOpens: 0,
  passiveOpens: 0,
  attemptFails: 0,
  estabResets: 0,
  inSegs: 0,
  inErrs: 0,
  outOfOrderSegs: 0,
  coalescedAcks: 0,
  outSegs: 0,
  outRsts: 0,
  retransSegs: 0,
  sackRecoveries: 0,
  renoRecoveries: 0,
  timeouts: 0,
  lossProbes: 0,
  lossProbeRecoveries: 0,
  lostRetransmits: 0,
  undos: 0,
  spuriousRtos: 0,
  sackReneging: 0,
  ceSegs: 0,
  ecnReductions: 0,
  pathMtuReductions: 0,
  blackHoles: 0,
  zeroWindowProbes: 0,
  challengeAcks: 0,
  delayedAcks: 0,
  pacingDelays: 0,
  keepAlives: 0,
  limitedAnswers: 0,
  syncookiesSent: 0,
  syncookiesRecv: 0,
  syncookiesFailed: 0,
  timeWaitReuses: 0,
  abortsOnTimeout: 0,
})
