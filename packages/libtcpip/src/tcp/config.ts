/**
 * What can be chosen about TCP: sizes of tables, limits, times, options (RFC 9293 §3.8, RFC 7323,
 * RFC 4987).
 */
export interface TcpConfig {
  /** Connections in all states but TIME-WAIT. */
  maxConnections: number
  /** Connections with data in the network at the same time; others wait for their turn. */
  maxFlights: number
  /**
   * Connections that have not completed the handshake, at most half of all; further SYNs are
   * answered with cookies (RFC 4987 §3.6).
   */
  backlog: number
  /**
   * Of these, one source's (an IPv4 address, or an IPv6 /64); its further SYNs are answered with
   * cookies. That refuses nobody, so many clients behind one address come to no harm. 0: as many as
   * the backlog.
   */
  maxHalfOpenPerSource: number
  /**
   * One source's connections; its further SYNs are dropped. 0, as by default: any number, since a
   * proxy or a provider's NAT may rightly have thousands.
   */
  maxPerSource: number
  /**
   * Receive window offered to every peer, bytes; a peer without window scale gets at most 65535.
   */
  receiveWindow: number
  /**
   * Whether window scale, timestamps (RFC 7323) and SACK (RFC 2018) are used with peers that offer
   * them.
   */
  windowScale: boolean
  timestamps: boolean
  sack: boolean
  /** Whether ECN (RFC 3168) is used with peers that offer it. */
  ecn: boolean
  /** Whether bursts are spread over the round trip (pacing.ts). */
  pacing: boolean
  /** Length of TIME-WAIT (2 MSL); RFC 9293 says 4 minutes, Linux and we 60 s. */
  timeWaitMs: number
  /** Entries of the TIME-WAIT ring, a power of two. */
  timeWaitEntries: number
  /** How long a closed connection waits for the peer's FIN (as Linux's tcp_fin_timeout). */
  finWait2Ms: number
  /** Time-outs in a row before a connection is given up: at least 100 s (RFC 9293, R2). */
  maxRetries: number
  /** Retransmissions of a SYN-ACK (1, 3, 7, 15, 31 s). */
  maxSynAckRetries: number
  /**
   * Of a SYN (1, 3, 7, 15, 31, 63, 123 s); it is given up after 183 s, more than 3 minutes
   * (MUST-23).
   */
  maxSynRetries: number
  /**
   * Frames that segments beyond a hole may wait in, all connections together; 0: an eighth of the
   * pool.
   */
  outOfOrderFrames: number
  /** How long an ACK waits for data to go with, less than 500 (MUST-40); 0: not at all. */
  delayedAckMs: number
  /**
   * Silence before a connection with `setKeepAlive` is asked whether it lives (MUST-28: two hours).
   */
  keepAliveIdleMs: number
  /** Time between two unanswered keep-alives. */
  keepAliveIntervalMs: number
  /**
   * Unanswered keep-alives before a connection is given up: with the interval, longer than any RTO.
   */
  keepAliveCount: number
  /** Time to live of every packet. */
  ttl: number
}

export const TCP_DEFAULTS: TcpConfig = {
  maxConnections: 65536,
  maxFlights: 65536,
  backlog: 4096,
  maxHalfOpenPerSource: 1024,
  maxPerSource: 0,
  receiveWindow: 65535,
  windowScale: true,
  timestamps: true,
  sack: true,
  ecn: true,
  pacing: false,
  timeWaitMs: 60_000,
  timeWaitEntries: 65536,
  finWait2Ms: 60_000,
  maxRetries: 10,
  maxSynAckRetries: 5,
  maxSynRetries: 7,
  outOfOrderFrames: 0,
  delayedAckMs: 40,
  keepAliveIdleMs: 7_200_000,
  keepAliveIntervalMs: 75_000,
  keepAliveCount: 9,
  ttl: 64,
}
