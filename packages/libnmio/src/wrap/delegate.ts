/**
 * What the wrappers share: a device that passes everything on to the device inside it. A wrapper
 * overrides what it watches or changes. For debugging, tests and experiments, not for the hot path:
 * a wrapped device makes the calls in the server loop polymorphic.
 */
import type { Capabilities, Device, DeviceStats } from '../device.ts'
import type { Region } from '../region.ts'

/** Does nothing but ask the device within: what wrappers extend. */
export abstract class DelegateDevice implements Device {
  protected readonly inner: Device
  readonly name: string
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities
  /** The inner device's: what really went over it. */
  readonly stats: DeviceStats
  readonly rxOff: Int32Array
  readonly rxLen: Int32Array
  readonly rxFlags: Int32Array
  readonly doneOff: Int32Array

  constructor(inner: Device) {
    this.inner = inner
    this.name = inner.name
    this.region = inner.region
    this.mtu = inner.mtu
    this.mac = inner.mac
    this.caps = inner.caps
    this.stats = inner.stats
    this.rxOff = inner.rxOff
    this.rxLen = inner.rxLen
    this.rxFlags = inner.rxFlags
    this.doneOff = inner.doneOff
  }

  get down(): string {
    return this.inner.down
  }
  rx(): number {
    return this.inner.rx()
  }
  txSpace(): number {
    return this.inner.txSpace()
  }
  push(off: number, len: number, request: number): void {
    this.inner.push(off, len, request)
  }
  gather(off: number, len: number, bodyOff: number, bodyLen: number, request: number): void {
    this.inner.gather(off, len, bodyOff, bodyLen, request)
  }
  flush(): void {
    this.inner.flush()
  }
  reclaim(): number {
    return this.inner.reclaim()
  }
  wait(timeoutUs: number): void {
    this.inner.wait(timeoutUs)
  }
  linkMtu(): number {
    return this.inner.linkMtu()
  }
  close(): void {
    this.inner.close()
  }
}
