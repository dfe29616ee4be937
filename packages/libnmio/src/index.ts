export { AssertionError, assert } from './assert.ts'
export {
  BATCH_MAX,
  type Capabilities,
  DEVICE_HEADROOM,
  type Device,
  type DeviceStats,
  DOUBLE_ZERO,
  newDeviceStats,
  OFFLOAD_CSUM,
  OFFLOAD_NONE,
  offload,
  offloadGsoSize,
  offloadIpVersion,
  offloadL4Off,
  RX_CSUM_GOOD,
  RX_CSUM_PARTIAL,
  VLAN_TAG_LEN,
} from './device.ts'
export { FramePool, NO_FRAME, PAYLOAD_OFF } from './frames.ts'
export { REGION_MAX_BYTES, Region } from './region.ts'
export type { SharedMemory } from './sharedMemory.ts'

// Devices in memory, and wrappers around any device.

export { type Clock, VirtualClock } from './clock.ts'
export { type DeviceHandle, deviceName, makeDevice } from './devices.ts'
export { closeHandle, closeHandles, type OpenHandle, wakeDevice } from './handle.ts'
export type { MemifHandle, MemifRole } from './memif/handle.ts'
export { MemifLink, startMemifTimer } from './memif/link.ts'
export { MemifDevice, memifRegionBytes } from './memif/memif.ts'
export { type MemifOptions, type OpenMemif, openMemifQueues } from './memif/open.ts'
export { type MemoryLinkOptions, MemoryPort, memoryLink } from './memory.ts'
export { type NicFacts, nicFacts, type XdpSupport } from './nic/facts.ts'
export type { NicOptions } from './nic/plan.ts'
export { watchMac } from './nic/watchMac.ts'
export type { PacketHandle } from './packet/handle.ts'
export { openPacket, openPacketQueues } from './packet/open.ts'
export { PacketDevice, packetRegionBytes } from './packet/packet.ts'
export {
  ALL_FLOWS,
  FIRST_WORKER,
  type FlowShare,
  type Spread,
  workerOf,
  workerOfFrame,
} from './spread/flow.ts'
export { hubBytes, leaveHub } from './spread/hub.ts'
export { SpreadDevice, type SpreadOptions } from './spread/spread.ts'
export { pinThread } from './sys/cpu.ts'
export { SysError } from './sys/errno.ts'
export { preferHugePages } from './sys/mapping.ts'
export {
  hasNetAdmin,
  ipv6Problem,
  kernelRelease,
  koffiProblem,
  type PersistentTap,
  persistentTaps,
  tunProblem,
} from './sys/probe.ts'
export { missingRights, RIGHTS, setcap } from './sys/rights.ts'
export { tapDrops } from './tap/drops.ts'
export type { TapHandle } from './tap/handle.ts'
export { openTap, openTapQueues } from './tap/open.ts'
export type { TapOptions } from './tap/options.ts'
export { TapDevice, tapRegionBytes } from './tap/tap.ts'
export { DelegateDevice } from './wrap/delegate.ts'
export { FaultDevice, type FaultSetup, faultRegionBytes } from './wrap/fault.ts'
export type { FaultStats } from './wrap/faultLine.ts'
export { type FaultOptions, NO_FAULTS, parseFault } from './wrap/faultOptions.ts'
export { PcapDevice, type PcapOptions } from './wrap/pcap.ts'
export { RxBatchDevice } from './wrap/rxBatch.ts'
export { type FrameFormatter, TraceDevice, type TraceOptions } from './wrap/trace.ts'
export { TxDelayDevice, type TxDelayOptions } from './wrap/txDelay.ts'
export { VLAN_ID_MAX, VLAN_ID_MIN, VlanDevice } from './wrap/vlan.ts'
export type { XdpHandle } from './xdp/handle.ts'
export { MTU_ONE_CHUNK } from './xdp/layout.ts'
export { openXdp, openXdpQueues, type XdpOptions } from './xdp/open.ts'
export { XdpDevice, xdpRegionBytes } from './xdp/xdp.ts'
