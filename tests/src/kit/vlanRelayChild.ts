/**
 * The process behind vlanRelay.ts: packets as the kernel hands them over, a virtio_net_hdr and a
 * frame (linux/virtio_net.h), with a tag put in or taken out. One thread per direction.
 *
 * Argument: a RelayJob as JSON. Prints `ready` when the TAPs exist, ends on SIGTERM.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readSync, writeSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import {
  closeHandle,
  openTap,
  Region,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
} from '@sandstorm/libnmio'
import type { RelayJob } from './vlanRelay.ts'

interface Direction {
  readonly from: TapHandle
  readonly to: TapHandle
  readonly change: 'tag' | 'untag'
  readonly vlan: number
  /** Int32: 1 ends the thread. */
  readonly stop: SharedArrayBuffer
}

const SLEEP_US = 50_000
const PACKET_MAX = 65_600
/**
 * Fields of the virtio_net_hdr, of which two count from the frame's first byte if they are used.
 */
const VNET_LEN = 10
const FLAGS = 0
const NEEDS_CSUM = 1
const HDR_LEN = 2
const CSUM_START = 6
/** Where a tag stands in the packet, and what it begins with (IEEE 802.1Q §9.5). */
const TAG = VNET_LEN + 12
const TAG_LEN = 4
const TPID = 0x8100

if (isMainThread) await main(JSON.parse(process.argv[2]) as RelayJob)
else carry(workerData as Direction)

async function main(job: RelayJob): Promise<void> {
  const { offloads, vlan } = job
  const access = openTap({ name: job.access, hostAddresses: job.addresses, offloads })
  const trunk = openTap({ name: job.trunk, bridge: job.bridge, offloads })
  const stop = new SharedArrayBuffer(4)
  const directions: Direction[] = [
    { from: access, to: trunk, change: 'tag', vlan, stop },
    { from: trunk, to: access, change: 'untag', vlan, stop },
  ]
  const threads = directions.map(
    direction => new Worker(new URL(import.meta.url), { workerData: direction }),
  )
  process.stdout.write('ready\n')
  await once(process, 'SIGTERM')
  Atomics.store(new Int32Array(stop), 0, 1)
  await Promise.all(threads.map(thread => once(thread, 'exit')))
  for (const handle of [access, trunk]) closeHandle(handle)
}

function carry({ from, to, change, vlan, stop }: Direction): void {
  const region = new Region(tapRegionBytes(from))
  // Only to wait with.
  const device = new TapDevice(from, region, region)
  const buffer = Buffer.alloc(PACKET_MAX)
  const words = new Int32Array(stop)
  while (Atomics.load(words, 0) === 0) {
    const len = unlessBusy(() => readSync(from.fd, buffer))
    if (len === 0) {
      device.wait(SLEEP_US)
      continue
    }
    const packet = buffer.subarray(0, len)
    const changed = change === 'tag' ? withTag(packet, vlan) : withoutTag(packet, vlan)
    if (changed !== undefined) unlessBusy(() => writeSync(to.fd, changed))
  }
}

/** 0 if the kernel has nothing, or no room, for now. */
function unlessBusy(call: () => number): number {
  try {
    return call()
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN')
    return 0
  }
}

function withTag(packet: Buffer, vlan: number): Buffer {
  const tag = Buffer.of(TPID >> 8, TPID & 0xff, vlan >> 8, vlan & 0xff)
  return moved(Buffer.concat([packet.subarray(0, TAG), tag, packet.subarray(TAG)]), TAG_LEN)
}

/** undefined: it has another, or none. */
function withoutTag(packet: Buffer, vlan: number): Buffer | undefined {
  const isOurs = packet.readUInt16BE(TAG) === TPID && packet.readUInt16BE(TAG + 2) === vlan
  if (!isOurs) return undefined
  return moved(Buffer.concat([packet.subarray(0, TAG), packet.subarray(TAG + TAG_LEN)]), -TAG_LEN)
}

function moved(packet: Buffer, by: number): Buffer {
  if ((packet[FLAGS] & NEEDS_CSUM) === 0) return packet
  packet.writeUInt16LE(packet.readUInt16LE(CSUM_START) + by, CSUM_START)
  const hdrLen = packet.readUInt16LE(HDR_LEN)
  if (hdrLen > 0) packet.writeUInt16LE(hdrLen + by, HDR_LEN)
  return packet
}
