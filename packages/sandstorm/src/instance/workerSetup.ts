/** What main thread and packet thread say to each other: plain data and one shared word. */
import type { CongestionName } from '../config.ts'
import type { ContentMail, ContentShared } from '../content/table.ts'
import type { Inquiry, Reply } from '../control/inquiry.ts'
import type { Answered } from '../front/answered.ts'
import type { FeedPiece } from '../mount/feeds.ts'
import type { MountLimits } from '../mount/limits.ts'
import type { TransmitKind } from '../server.ts'
import type { ServerStats } from '../stats.ts'
import type { FeedOrder } from './feedOrder.ts'
import type { QueueSetup } from './queue.ts'

/** What a packet thread is started with. */
export interface WorkerSetup extends QueueSetup {
  /** As it is now, for this thread to read. */
  readonly content: ContentShared
  /**
   * For so long after the last frame it looks for the next before it sleeps, if that is any use.
   */
  readonly spinUs: number
  /** For measurements: frames of a batch at most; and so long frames to be sent wait for others. */
  readonly rxBatch: number
  readonly txDelayUs: number
  /** The CPU to stay on; -1: any. */
  readonly cpu: number
  /** Of both versions, with their prefix lengths. */
  readonly addresses: readonly string[]
  readonly asksForOwn: boolean
  /** '': none. */
  readonly gateway: string
  readonly gateway6: string
  readonly port: number
  /** undefined: what suits the device. */
  readonly transmit: TransmitKind | undefined
  /** Copies of each ready frame made at once; 0: on demand. */
  readonly replicas: number
  readonly cc: CongestionName
  readonly pacing: boolean
  /** 0: none. */
  readonly vlan: number
  /** Capture file; '': none. */
  readonly pcap: string
  readonly trace: boolean
  /** For parseFault; '': none. */
  readonly fault: string
  readonly limits: Partial<MountLimits>
  /** For RequestRate, of all threads the same; undefined: no limit. */
  readonly rate:
    | { readonly shared: SharedArrayBuffer; readonly key: number; readonly perSecond: number }
    | undefined
  /** Which paths are origins', by site (http/originPaths.ts); undefined: no site has one. */
  readonly originPaths: readonly (readonly string[])[] | undefined
  /** Connections at the same time. */
  readonly maxConnections: number
  /** Where they lie (Stack), so that they can be read when the thread has died. */
  readonly tcbs: SharedArrayBuffer
  /** Which of our addresses may be used (Stack), of all threads of the device the same. */
  readonly addressStates: SharedArrayBuffer
  /** Those of the thread that died before in this place; undefined: none did. */
  readonly orphans: SharedArrayBuffer | undefined
  /** Connections of one client; 0: as many as there are. */
  readonly maxPerSource: number
  /** After so long a drain gives up on clients that do not answer. */
  readonly drainTimeoutMs: number
  /** Where the worker notes its answers (log/accessRing.ts); undefined: nowhere. */
  readonly accessRing: SharedArrayBuffer | undefined
  /** Where it counts how long answers take (admin/histogram.ts). */
  readonly durations: SharedArrayBuffer
  /** One int32: bits that the main thread sets. */
  readonly control: SharedArrayBuffer
}

/** No bit: go on. */
export const RUN = 0
/** Finish what is under way, then end. */
export const DRAIN = 1
/** End now. */
export const STOP = 2
/** There are messages in the thread's port; the thread clears the bit and takes them. */
export const MAIL = 4

/** A message to a packet thread, which takes it between two batches. */
export type Mail =
  | { readonly kind: 'inquiry'; readonly inquiry: Inquiry }
  | { readonly kind: 'content'; readonly mail: ContentMail }
  /** The next of a feed (TcpMount.onPiece). */
  | {
      readonly kind: 'piece'
      readonly slot: number
      readonly serial: number
      readonly piece: FeedPiece
    }
  /** All pieces of an origin's answer were sent (TcpMount.onFed). */
  | {
      readonly kind: 'fed'
      readonly slot: number
      readonly serial: number
      readonly answered: Answered
    }
  /** The origin's client has taken so much of a request's body (TcpMount.onBodyTaken). */
  | {
      readonly kind: 'bodyTaken'
      readonly slot: number
      readonly serial: number
      readonly bytes: number
    }
  | { readonly kind: 'feedFailed'; readonly slot: number; readonly serial: number }

/** What a packet thread says: first that it serves, at last how it ended. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'feed'; readonly order: FeedOrder }
  | { readonly kind: 'warning'; readonly line: string }
  | { readonly kind: 'ended'; readonly down: string; readonly stats: ServerStats }
