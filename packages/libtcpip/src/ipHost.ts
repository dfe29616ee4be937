/** What IPv4 and ICMP input see of the stack they belong to. */
import type { Device, FramePool } from '@sandstorm/libnmio'
import type { Tcp } from './tcp/tcp.ts'

export interface IpHost {
  readonly device: Device
  readonly frames: FramePool
  readonly tcp: Tcp
  /** Our address, int32. */
  readonly address: number
  /** Directed broadcast of our subnet. */
  readonly broadcast: number
  /** Counts a drop and returns its reason. */
  drop(reason: number): number
}
