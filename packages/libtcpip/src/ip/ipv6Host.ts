/** What IPv6 and ICMPv6 input see of the stack they belong to. */
import type { IcmpError } from '../icmp/icmpError.ts'
import type { Icmpv6Output } from '../icmp/icmpv6Output.ts'
import type { Ndp } from '../ndp/ndp.ts'
import type { TokenBucket } from '../rateLimit.ts'
import type { Ipv6Headers } from './ipv6Headers.ts'

export interface Ipv6Host {
  readonly output: Icmpv6Output
  readonly ndp: Ndp
  /** Filled anew for each packet. */
  readonly headers: Ipv6Headers
  /** Filled anew for each error about a segment of ours. */
  readonly icmpError: IcmpError
  /** Pays for the errors that we send. */
  readonly errorLimit: TokenBucket
  /** Of echo replies and errors. */
  readonly hopLimit: number
  /**
   * Takes the TCP segment of `len` bytes at `off`; `ip`: its IPv6 header. Returns OK or a reason.
   */
  onTcp6(ip: number, off: number, len: number, rxFlags: number): number
  /**
   * Hears of `icmpError`; returns OK or a reason. Nothing in it is to be believed before TCP's
   * checks.
   */
  onIcmpError(error: IcmpError): number
  /** Counts a drop and returns its reason. */
  drop(reason: number): number
}
