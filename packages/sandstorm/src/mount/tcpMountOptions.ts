/** What the mount on our own TCP is made of. */
import type { Region } from '@sandstorm/libnmio'
import type { Histogram } from '../admin/histogram.ts'
import type { Content } from '../content/content.ts'
import type { OriginPaths } from '../http/originPaths.ts'
import type { AccessLog } from '../log/accessLog.ts'
import type { FeedPort } from './feeds.ts'
import type { MountLimits } from './limits.ts'
import type { RequestRate } from './requestRate.ts'

export interface TcpMountOptions {
  readonly content: Content
  /** Where request buffers and made heads lie. */
  readonly region: Region
  readonly maxConnections: number
  readonly limits?: Partial<MountLimits> | undefined
  /** For the machine: what separates parts. */
  readonly boundary?: string | undefined
  /** Where answers are noted. */
  readonly accessLog?: AccessLog | undefined
  /** Where is counted how long a sample of answers took. */
  readonly durations?: Histogram | undefined
  /** How many requests a client may send; default: as many as it likes. */
  readonly rate?: RequestRate | undefined
  /** Which paths are origins'; without it sites have none. */
  readonly originPaths?: OriginPaths | undefined
  /** Where answers are asked for that are not in memory; default: there are none. */
  readonly feedPort?: FeedPort | undefined
}
