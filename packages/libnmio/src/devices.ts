/**
 * Every kind of device by its handle: what opens on the main thread is made on the packet thread.
 */
import { assert } from './assert.ts'
import type { Device } from './device.ts'
import type { MemifHandle } from './memif/handle.ts'
import { MemifDevice } from './memif/memif.ts'
import type { PacketHandle } from './packet/handle.ts'
import { PacketDevice } from './packet/packet.ts'
import type { Region } from './region.ts'
import type { TapHandle } from './tap/handle.ts'
import { TapDevice } from './tap/tap.ts'
import type { XdpHandle } from './xdp/handle.ts'
import { XdpDevice } from './xdp/xdp.ts'

/** An open device of any kind, as plain data. */
export type DeviceHandle = TapHandle | PacketHandle | XdpHandle | MemifHandle

/**
 * The device of a handle, on the thread that will use it, in what is left of `region`; where it can
 * gather, that sends from `content`. Throws SysError.
 */
export function makeDevice(handle: DeviceHandle, region: Region, content: Region): Device {
  assert(handle.wakeFd >= 0, 'a device is made of an open handle')
  switch (handle.kind) {
    case 'tap':
      return new TapDevice(handle, region, content)
    case 'packet':
      return new PacketDevice(handle, region, content)
    case 'xdp':
      return new XdpDevice(handle, region)
    case 'memif':
      return new MemifDevice(handle, region)
  }
}

/** What people call it: `tap:sand0`. */
export const deviceName = ({ kind, name }: DeviceHandle): string => `${kind}:${name}`
