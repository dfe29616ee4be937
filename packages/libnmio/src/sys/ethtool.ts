/**
 * What a driver says of its interface: ethtool's ioctl (linux/ethtool.h, linux/sockios.h). Answers
 * are for people and for plans; where the driver knows none there is a default.
 */
import { ask, IFNAMSIZ, IFR_VALUE, newIfreq } from './ifreq.ts'
import { cString, libc } from './libc.ts'

const SIOCETHTOOL = 0x8946
const ETHTOOL_GDRVINFO = 0x3
const ETHTOOL_GLINK = 0xa
const ETHTOOL_GFLAGS = 0x25
const ETHTOOL_GCHANNELS = 0x3c
const ETH_FLAG_LRO = 1 << 15

/** Receive queues, and whether they come in pairs with queues to send; 1 where none can be told. */
export function receiveQueues(name: string): { count: number; isCombined: boolean } {
  // struct ethtool_channels { u32 cmd, max_rx, max_tx, max_other, max_combined, rx, tx, other,
  // combined }
  const channels = Uint32Array.of(ETHTOOL_GCHANNELS, 0, 0, 0, 0, 0, 0, 0, 0)
  if (!askDriver(name, new Uint8Array(channels.buffer))) return { count: 1, isCombined: true }
  return { count: Math.max(1, channels[5] + channels[8]), isCombined: channels[8] > 0 }
}

/** `virtio_net`; '' where it has no name. */
export function driverName(name: string): string {
  // struct ethtool_drvinfo { u32 cmd; char driver[32], version[32], … }
  const info = new Uint8Array(196)
  info[0] = ETHTOOL_GDRVINFO
  if (!askDriver(name, info)) return ''
  return new TextDecoder().decode(info.subarray(4, 36)).replace(/\0.*$/s, '')
}

/** Is it switched on, and somebody at the other end of its line? */
export function hasCarrier(name: string): boolean {
  // struct ethtool_value { u32 cmd, data }
  const value = Uint32Array.of(ETHTOOL_GLINK, 1)
  return !askDriver(name, new Uint8Array(value.buffer)) || value[1] !== 0
}

/** Does it put received segments together, in a way that XDP cannot have? */
export function hasLro(name: string): boolean {
  // struct ethtool_value { u32 cmd, data }
  const value = Uint32Array.of(ETHTOOL_GFLAGS, 0)
  return askDriver(name, new Uint8Array(value.buffer)) && (value[1] & ETH_FLAG_LRO) !== 0
}

/** The answer is in `request`; false: there is none. */
function askDriver(name: string, request: Uint8Array): boolean {
  const ifreq = newIfreq()
  ifreq.set(cString(name, IFNAMSIZ))
  const address = BigInt(libc().addressOf(request))
  new DataView(ifreq.buffer).setBigUint64(IFR_VALUE, address, true)
  return ask(SIOCETHTOOL, ifreq)
}
