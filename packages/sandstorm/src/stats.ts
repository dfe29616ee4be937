/**
 * Everything a server counts, read in one go as plain data: for tests, and for who sets
 * SANDSTORM_STATS=1. After a drain `inUse` must be all zero (no leak of connections, timers,
 * records, buffers or frames).
 */
import type { Device, DeviceStats, FramePool } from '@sandstorm/libnmio'
import { DROP_COUNT, DROP_NAMES, type Stack, type TcpStats } from '@sandstorm/libtcpip'
import type { MountStats } from './mount/mountStats.ts'
import type { TcpMount } from './mount/tcpMount.ts'
import type { Ledger } from './packetize/ledger.ts'
import type { Transmitter } from './packetize/transmitter.ts'

export interface InUse {
  connections: number
  timers: number
  sendRecords: number
  requestBuffers: number
  framesInFlight: number
}

export interface ServerStats {
  inUse: InUse
  /** Connections in TIME-WAIT: they hold no TCB, and end by themselves. */
  timeWait: number
  drops: Record<string, number>
  tcp: TcpStats
  http: MountStats
  ledger: Ledger
  device: DeviceStats
}

/** The parts of a server that count. */
export interface StatsSource {
  readonly device: Device
  readonly frames: FramePool
  readonly stack: Stack
  readonly mount: TcpMount
  readonly transmitter: Transmitter
}

export function readStats(server: StatsSource): ServerStats {
  const { tcp } = server.stack
  const drops: Record<string, number> = {}
  for (let reason = 0; reason < DROP_COUNT; reason++) {
    if (tcp.drops[reason] > 0) drops[DROP_NAMES[reason]] = tcp.drops[reason]
  }
  return {
    inUse: {
      connections: tcp.pool.usedCount,
      timers: tcp.timers.count,
      sendRecords: server.mount.answers.usedCount,
      requestBuffers: server.mount.buffersUsed,
      framesInFlight: server.frames.inFlightCount,
    },
    timeWait: tcp.timeWait.count,
    drops,
    tcp: { ...tcp.stats },
    http: { ...server.mount.stats },
    ledger: { ...server.transmitter.ledger },
    device: { ...server.device.stats },
  }
}

/** What several servers count, in all. */
export const sumOfStats = (all: readonly ServerStats[]): ServerStats =>
  all.reduce((sum, stats) => sumOf(sum, stats) as ServerStats)

type Counts = { readonly [name: string]: number | Counts }

/**
 * Of numbers by name, groups of numbers by name, and so on; a name that one side lacks counts as 0.
 */
function sumOf(a: object, b: object): object {
  const sum: Record<string, number | object> = { ...(a as Counts) }
  for (const [name, value] of Object.entries(b as Counts)) {
    const before = sum[name]
    if (typeof value === 'number') sum[name] = value + ((before as number | undefined) ?? 0)
    else sum[name] = sumOf((before as object | undefined) ?? {}, value)
  }
  return sum
}
