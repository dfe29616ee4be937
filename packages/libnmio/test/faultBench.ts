/** What the tests of the fault wrapper share: a bad link in memory, and numbered frames over it. */
import assert from 'node:assert/strict'
import {
  type Device,
  FaultDevice,
  type FaultOptions,
  type MemoryPort,
  memoryLink,
  NO_FAULTS,
  OFFLOAD_NONE,
  Region,
  VirtualClock,
} from '../src/index.ts'
import { DelegateDevice } from '../src/wrap/delegate.ts'

/** Records what wait was asked for. */
export class Sleeper extends DelegateDevice {
  readonly waits: number[] = []
  override wait(timeoutUs: number): void {
    this.waits.push(timeoutUs)
  }
}

/**
 * A FaultDevice over one port of a link in memory; `far` is the other, `off` a place for a frame.
 */
export interface Bench {
  region: Region
  clock: VirtualClock
  sleeper: Sleeper
  device: FaultDevice
  far: MemoryPort
  off: number
}

/** No faults but these, and `frames` buffers a direction. */
export function bench(faults: Partial<FaultOptions>, frames = 1024): Bench {
  const region = new Region(1 << 23)
  const [a, far] = memoryLink({ region, ringSize: 256 })
  const clock = new VirtualClock()
  const sleeper = new Sleeper(a)
  const setup = { clock: clock.read, frames }
  const device = new FaultDevice(sleeper, { ...NO_FAULTS, ...faults }, setup)
  return { region, clock, sleeper, device, far, off: region.reserve(4096) }
}

/** A frame of the local-experiment EtherType that carries a number. */
export function numbered(region: Region, off: number, n: number, len = 64): void {
  region.bytes.fill(0, off, off + len)
  region.view.setUint16(off + 12, 0x88b5)
  region.view.setUint32(off + 14, n)
}

/** Sends frames 0 … count-1 out, one by one; returns what the far end got, as hex. */
export function sendThrough(b: Bench, count: number): string[] {
  const got: string[] = []
  const receive = (): void => {
    for (let n = b.far.rx(); n > 0; n = b.far.rx())
      for (let i = 0; i < n; i++) got.push(hex(b.far, i))
  }
  for (let i = 0; i < count; i++) {
    numbered(b.region, b.off, i)
    b.device.push(b.off, 64, OFFLOAD_NONE)
    b.device.flush()
    receive()
    assert.equal(b.device.reclaim(), 1)
    assert.equal(b.device.doneOff[0], b.off)
  }
  b.clock.advance(100_000)
  b.device.rx()
  receive()
  return got
}

/** The same the other way. */
export function receiveThrough(b: Bench, count: number): string[] {
  const got: string[] = []
  const receive = (): void => {
    for (let n = b.device.rx(); n > 0; n = b.device.rx()) {
      for (let i = 0; i < n; i++) got.push(hex(b.device, i))
    }
  }
  for (let i = 0; i < count; i++) {
    numbered(b.region, b.off, i)
    b.far.push(b.off, 64, OFFLOAD_NONE)
    b.far.flush()
    receive()
    b.far.reclaim()
  }
  b.clock.advance(100_000)
  receive()
  return got
}

/** Frame i of the batch that the device has received. */
export const bytesOf = (d: Device, i: number): Uint8Array =>
  d.region.bytes.slice(d.rxOff[i], d.rxOff[i] + d.rxLen[i])
export const hex = (d: Device, i: number): string => Buffer.from(bytesOf(d, i)).toString('hex')
export const numberOf = (frame: string): number => Number.parseInt(frame.slice(28, 36), 16)
