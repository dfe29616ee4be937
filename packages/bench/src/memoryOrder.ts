/**
 * What a run of the memory benchmark is asked for (memoryRun.ts): plain data, so that it can be an
 * argument.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { TransmitKind } from 'sandstorm'
import type { MemoryRun } from './memoryRun.ts'

const RUN = fileURLToPath(new URL('./memoryRun.js', import.meta.url))

export interface MemoryOrder {
  readonly kind: TransmitKind
  /** Of the object. */
  readonly bytes: number
  /** A connection per request. */
  readonly close: boolean
  readonly seconds: number
  /** Default: 64. */
  readonly connections?: number
  /** The object is stored of an origin, not a file. */
  readonly isStored?: boolean
  /** The link vouches for checksums. */
  readonly vouches?: boolean
  /** Copies of each ready frame made at once, as in the paper; default: 1, more on demand. */
  readonly replicas?: number
  /** Frames in a batch at most. */
  readonly batchMax?: number
  /** Each segment is summed before it is sent (summing.ts). */
  readonly isSummed?: boolean
}

/** Runs it in a process of its own, so that no other strategy's shapes are in the compiled code. */
export function runOrder(order: MemoryOrder): MemoryRun {
  const args = [RUN, JSON.stringify(order)]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${JSON.stringify(order)}: ${stderr.trim()}`)
  return JSON.parse(stdout) as MemoryRun
}
