/** What IPv4 and ICMP input see of the stack they belong to. */
import type { Device, FramePool } from '@sandstorm/libnmio'
import type { Addresses } from '../addresses.ts'
import type { IcmpError } from '../icmp/icmpError.ts'
import type { TokenBucket } from '../rateLimit.ts'
import type { Tcp } from '../tcp/tcp.ts'

export interface IpHost {
  readonly device: Device
  readonly frames: FramePool
  readonly tcp: Tcp
  readonly addresses: Addresses
  /** Filled anew for each error about a segment of ours. */
  readonly icmpError: IcmpError
  /** How many ICMP errors may leave (RFC 1812 §4.3.2.8). */
  readonly errorLimit: TokenBucket
  /** Counts a drop and returns its reason. */
  drop(reason: number): number
}
