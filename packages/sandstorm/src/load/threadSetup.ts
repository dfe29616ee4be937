/**
 * What main thread and a thread that generates load say to each other: plain data and shared words.
 */
import type { SharedMemory } from '@sandstorm/libnmio'
import type { TallyData } from '@sandstorm/loadgen'
import type { QueueSetup } from '../instance/queue.ts'

/** What a thread is started with: its share of a plan. */
export interface ThreadSetup {
  /** Who is asked: an address, and its port. */
  readonly address: string
  readonly port: number
  readonly request: string
  readonly connections: number
  readonly requests: number
  readonly durationUs: number
  readonly rate: number
  /** Of its first intended request, microseconds. */
  readonly offsetUs: number
  readonly keepAlive: boolean
  readonly timeoutUs: number
  /** The number of its first connection among those of all threads. */
  readonly firstNumber: number
  readonly sources: readonly string[]
  /** undefined: the kernel's stack. */
  readonly own: OwnSetup | undefined
  /** One int32, as below. */
  readonly control: SharedArrayBuffer
  /** Doubles that the thread writes now and then: answers, errors. */
  readonly progress: SharedArrayBuffer
}

/** Our own stack on a queue of a device that is open. */
export interface OwnSetup extends QueueSetup {
  /** It has a part for each thread. */
  readonly region: SharedMemory
  /** With their prefix lengths; connections come from the first `sources` of them. */
  readonly addresses: readonly string[]
  /** The ways to others; '': none. */
  readonly gateway: string
  readonly gateway6: string
  /** 0: none. */
  readonly vlan: number
  readonly asksForOwn: boolean
  /**
   * The first hop to the server (libtcpip tcp/path/firstHop.ts), which thread 0 finds for the others.
   */
  readonly station: SharedArrayBuffer
}

// The control word
export const WAIT = 0
export const GO = 1
export const STOP = 2

// Words of `progress`
export const ANSWERS = 0
export const ERRORS = 1
export const PROGRESS_WORDS = 2

/** What a thread says. */
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'ended'
      readonly tally: TallyData
      /** Why the device went down, or connections came to nothing; '': neither. */
      readonly down: string
      readonly problem: string
      /** Frames that its queue had no room for; 0 on the kernel's stack. */
      readonly framesLost: number
    }
