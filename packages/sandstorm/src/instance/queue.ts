/**
 * A worker's queue of a device, and its part of the region: described on the main thread, which
 * opened the device, and made on the worker's. Several workers have a hub in the region besides,
 * and hand over what came to the wrong queue (libnmio spread/spread.ts).
 *
 *   … │ hub │ part of worker 0 │ part of worker 1 │ …
 */
import {
  type Device,
  type DeviceHandle,
  makeDevice,
  type Region,
  type Spread,
  SpreadDevice,
  type SpreadOptions,
} from '@sandstorm/libnmio'
import type { Opened } from './openDevice.ts'

/** What a worker may reserve of the region, in bytes. */
export interface Part {
  readonly from: number
  readonly end: number
}

/** Plain data, for a worker. */
export interface QueueSetup extends SpreadOptions {
  /** The worker's own queue of the device. */
  readonly handle: DeviceHandle
  readonly part: Part
  /** Somebody else speaks for our addresses: the kernel, or worker 0. */
  readonly sharesAddresses: boolean
}

/** Parts begin at whole pages, whatever their size. */
export const PART_ALIGN = 65536

/** Equal parts of what is left of the region. */
export function equalParts(region: Region, count: number): Part[] {
  const from = region.reserve(0, PART_ALIGN)
  const size = Math.floor((region.end - from) / count / PART_ALIGN) * PART_ALIGN
  return Array.from({ length: count }, (_, i) => ({
    from: from + i * size,
    end: from + (i + 1) * size,
  }))
}

/** Of a device whose workers meet in the hub at byte offset `hub`. */
export const queueSetup = (
  { handles, sharesAddresses }: Opened,
  spread: Spread,
  hub: number,
  worker: number,
  { from, end }: Part,
): QueueSetup => ({
  spread,
  worker,
  hub,
  wakeFds: handles.map(({ wakeFd }) => wakeFd),
  handle: handles[worker],
  part: { from, end },
  sharesAddresses: sharesAddresses || worker > 0,
})

/**
 * The queue, on the worker's thread, in its part of the region; it gathers from all of it. Throws
 * SysError.
 */
export function makeQueue(setup: QueueSetup, region: Region): Device {
  const { handle, part, spread } = setup
  const queue = makeDevice(handle, region.part(part.from, part.end), region)
  return spread.count === 1 ? queue : new SpreadDevice(queue, setup)
}
