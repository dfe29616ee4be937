/**
 * SYN cookies (RFC 4987 §3.6): when the table of half-open connections is full, a SYN is answered
 * without keeping anything; what must be known later is in the SYN-ACK itself, and comes back in
 * the ACK. Our initial sequence number is
 *
 *     31 … 4: SipHash of everything below   3 … 1: MSS, of a table of eight   0: the period's parity
 *
 * The hash covers both addresses and ports, the peer's ISN, the period (64 s, counted since the
 * clock began), the MSS and the options. A cookie is good in its period and in the next: 64 to 128
 * s.
 *
 * A forged ACK is taken with a probability of 2^-28: 16 of 2^32 numbers are good at any time, eight
 * MSS values in two periods. Whoever sends a million guesses a second gets one connection, and no
 * answer from it, every four and a half minutes.
 *
 * Window scale, SACK and ECN fit in no sequence number. With timestamps (RFC 7323) they ride in the
 * low six bits of the SYN-ACK's TSval and come back as TSecr. The hash covers them too, so changing
 * one (or leaving the timestamp out) makes the cookie false: with the same probability of 2^-28 it
 * goes unnoticed. Without timestamps those options are given up, as everywhere.
 */
import { assert } from '@sandstorm/libnmio'
import { SipHash } from '../../siphash.ts'

/** How long a cookie's period is, milliseconds. */
export const COOKIE_PERIOD_MS = 64_000
/** For `options`: the peer sends no timestamps, so nothing but the MSS is kept. */
export const NO_COOKIE_OPTIONS = -1
/** What `check` returns for a number that is no cookie of ours, or too old a one. */
export const NO_COOKIE = -1

/**
 * The MSS is rounded down to one of these: the smallest legal, the defaults, tunnels, Ethernet,
 * jumbo.
 */
export const COOKIE_MSS: readonly number[] = [48, 536, 1220, 1300, 1380, 1440, 1460, 8960]
const MSS_SHIFT = 1
const MSS_MASK = 7
const MAC_BITS = 28

const SCALE_MASK = 0xf
/** The peer's SYN had no window scale option. */
const NO_SCALE = 15
const SACK_BIT = 16
const ECN_BIT = 32
const OPTION_BITS = 6
const OPTION_MASK = 0x3f

export class SynCookies {
  readonly #flow: SipHash
  readonly #mac: SipHash
  readonly #macMask: number
  /** Now, and when the last cookie was made. */
  #period = 0
  #sentPeriod = -2

  /**
   * `random` returns secret int32s; it is asked only here. `macBits`: how many bits of the hash are
   * compared; fewer than 28 only for measuring how often a guess succeeds.
   */
  constructor(random: () => number, macBits: number = MAC_BITS) {
    assert(macBits > 0 && macBits <= MAC_BITS, 'a cookie has room for 28 bits of hash')
    this.#flow = new SipHash(Int32Array.of(random(), random(), random(), random()))
    this.#mac = new SipHash(Int32Array.of(random(), random(), random(), random()))
    this.#macMask = -1 << (32 - macBits)
  }

  /** Sets the clock, which never wraps, for all that follows. */
  setTime(clockMs: number): void {
    this.#period = Math.floor(clockMs / COOKIE_PERIOD_MS) | 0
  }

  /**
   * The initial sequence number that answers a SYN with sequence number `irs`. `mss`: what we may
   * send, at least 48. `options`: from `cookieOptions`, or NO_COOKIE_OPTIONS.
   */
  make(
    remoteAddr: number,
    localAddr: number,
    ports: number,
    irs: number,
    mss: number,
    options: number,
  ): number {
    const period = this.#period
    this.#sentPeriod = period
    let index = COOKIE_MSS.length - 1
    while (index > 0 && COOKIE_MSS[index] > mss) index--
    const mac = this.#hash(remoteAddr, localAddr, ports, irs, period, index, options)
    return (mac & (-1 << (32 - MAC_BITS))) | (index << MSS_SHIFT) | (period & 1)
  }

  /**
   * Is `iss` a cookie that we sent to this peer within two periods? Returns the MSS in it, or
   * NO_COOKIE. `options`: the low bits of the ACK's TSecr, or NO_COOKIE_OPTIONS if it has none.
   */
  check(
    remoteAddr: number,
    localAddr: number,
    ports: number,
    irs: number,
    iss: number,
    options: number,
  ): number {
    const now = this.#period
    const period = (now & 1) === (iss & 1) ? now : now - 1
    const index = (iss >> MSS_SHIFT) & MSS_MASK
    const mac = this.#hash(remoteAddr, localAddr, ports, irs, period, index, options)
    return ((mac ^ iss) & this.#macMask) === 0 ? COOKIE_MSS[index] : NO_COOKIE
  }

  /** Can a good cookie be under way? If not, a stray ACK need not be looked at. */
  get isExpected(): boolean {
    return this.#period - this.#sentPeriod <= 1
  }

  #hash(
    remoteAddr: number,
    localAddr: number,
    ports: number,
    irs: number,
    period: number,
    mssIndex: number,
    options: number,
  ): number {
    const low = this.#flow.hash(remoteAddr, localAddr, ports, irs)
    // NO_COOKIE_OPTIONS sets all bits above the MSS, which no six bits of options do.
    return this.#mac.hash(low, this.#flow.high, period, (options << 3) | mssIndex)
  }
}

/** The six bits for TSval. `windowScale`: the peer's shift, 0 to 14, or -1 if it offered none. */
export const cookieOptions = (windowScale: number, sack: boolean, ecn: boolean): number =>
  (windowScale < 0 ? NO_SCALE : windowScale) | (sack ? SACK_BIT : 0) | (ecn ? ECN_BIT : 0)

/**
 * The latest timestamp value with these options in it that is not after `tsClock`: the connection's
 * later ones, from the same clock, must not seem older (RFC 7323 §5.3).
 */
export function cookieTsVal(tsClock: number, options: number): number {
  const tsVal = (tsClock & ~OPTION_MASK) | options
  return (tsClock & OPTION_MASK) < options ? (tsVal - (1 << OPTION_BITS)) | 0 : tsVal
}

/** The options in a TSecr. */
export const optionsOf = (tsEcr: number): number => tsEcr & OPTION_MASK

/** The peer's shift, -1 if it offered none. */
export const windowScaleOf = (options: number): number =>
  (options & SCALE_MASK) === NO_SCALE ? -1 : options & SCALE_MASK

export const hasSack = (options: number): boolean => (options & SACK_BIT) !== 0
export const hasEcn = (options: number): boolean => (options & ECN_BIT) !== 0
