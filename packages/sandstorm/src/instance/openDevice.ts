/**
 * Opens the device of a configuration on the main thread, which owns its descriptors, and says what
 * the stack is to be on it: whose addresses, and how they are told to the link.
 */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import {
  type DeviceHandle,
  ipv6Problem,
  openMemifQueues,
  openPacketQueues,
  openTapQueues,
  openXdpQueues,
  persistentTaps,
  type Spread,
  startMemifTimer,
} from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import type { DeviceName } from '../devices.ts'
import { type Link6, NO_LINK6 } from '../link6.ts'
import type { Log } from './instance.ts'

/**
 * A device, and the addresses of the stack on it with their subnets: `10.77.0.2/24`, `fd77::2/64`.
 */
export interface Opened {
  /** A queue for each worker. */
  readonly handles: readonly DeviceHandle[]
  readonly addresses: readonly string[]
  /** The host's kernel has them as well, and answers for them. */
  readonly sharesAddresses: boolean
  /** Others may be on the link: they are asked for our addresses before these are used. */
  readonly asksForOwn: boolean
  /** Once no thread uses the device any more, before its handles are closed. */
  readonly close: () => void
}

/** What of a configuration a device and its link come from. */
export type LinkConfig = Pick<
  ServeConfig,
  | 'devices'
  | 'address'
  | 'prefixLen'
  | 'others'
  | 'hostAddress'
  | 'link6'
  | 'port'
  | 'mtu'
  | 'bridge'
  | 'busyPollUs'
  | 'vlan'
  | 'trustsAddresses'
  | 'memif'
  | 'fault'
>
type Warnings = Pick<Log, 'warn'>

/** Opens it with a queue for each worker. Throws SysError, one clear line. */
export function openDevice(
  config: LinkConfig,
  device: DeviceName,
  spread: Spread,
  log: Warnings,
): Opened {
  if (device.kind === 'memif') return openMemif(config, device, spread, log)
  return device.kind === 'packet' || device.kind === 'xdp'
    ? openNic(config, device, spread)
    : openOurTap(config, device, spread, log)
}

const NOTHING = (): void => {}

/** To another process; its peers come and go. */
function openMemif(
  config: LinkConfig,
  { name }: DeviceName,
  spread: Spread,
  log: Warnings,
): Opened {
  const options = { socket: name, mac: stableMac(name, config.memif), ...config.memif }
  const { handles, link } = openMemifQueues(
    config.mtu === 0 ? options : { ...options, mtu: config.mtu },
    spread.count,
  )
  link.onWarning = line => log.warn(line)
  const stop = startMemifTimer(link)
  const addresses = [...ownAddresses(config), ...config.link6.addresses]
  const close = (): void => {
    stop()
    link.close()
  }
  return { handles, addresses, sharesAddresses: false, asksForOwn: !config.trustsAddresses, close }
}

/**
 * Locally administered, and the same each time: neighbours keep what they know of us. The two ends
 * of a socket may both be ours, and have different ones.
 */
function stableMac(socket: string, { role, id }: LinkConfig['memif']): Uint8Array {
  const end = role === 'client' ? '' : ' server'
  const hash = createHash('sha256').update(`${hostname()} ${socket} ${id}${end}`).digest()
  return Uint8Array.of(0x02, ...hash.subarray(0, 5))
}

/** On an interface that is there already. */
function openNic(config: LinkConfig, { kind, name }: DeviceName, spread: Spread): Opened {
  // The addresses of several devices are their interfaces'; what is given is the TAP's, or memif's.
  const isAlone = config.devices.length === 1
  const options = {
    interfaceName: name,
    addresses: isAlone ? [...ownAddresses(config), ...config.link6.addresses] : [],
    port: config.port,
    mtu: config.mtu === 0 ? undefined : config.mtu,
    offloads: config.fault === '',
  }
  const handles =
    kind === 'xdp'
      ? openXdpQueues({ ...options, busyPollUs: config.busyPollUs }, spread)
      : openPacketQueues(options, spread)
  const { addresses, isShared } = handles[0]
  const asksForOwn = !config.trustsAddresses
  return { handles, addresses, sharesAddresses: isShared, asksForOwn, close: NOTHING }
}

function openOurTap(
  config: LinkConfig,
  { name }: DeviceName,
  spread: Spread,
  log: Warnings,
): Opened {
  const link6 = usableLink6(config, name, log)
  const own = [...ownAddresses(config), ...link6.addresses]
  const { hostAddress, prefixLen, bridge, vlan } = config
  const host4 = hostAddress === '' ? [] : [`${hostAddress}/${prefixLen}`]
  const options = {
    name,
    hostAddresses: [...host4, ...link6.hostAddresses],
    bridge: bridge === '' ? undefined : bridge,
    serverAddresses: own,
    offloads: config.fault === '',
  }
  const handles = openTapQueues(
    config.mtu === 0 ? options : { ...options, mtu: config.mtu },
    spread,
  )
  // Nobody but the host is on a link that we have just made, and its addresses were looked at.
  const hasOthers = handles[0].persistent || bridge !== '' || vlan !== 0
  const asksForOwn = hasOthers && !config.trustsAddresses
  return { handles, addresses: own, sharesAddresses: false, asksForOwn, close: NOTHING }
}

/** Of IPv4, with subnets. */
function ownAddresses({ address, prefixLen, others }: LinkConfig): string[] {
  const all = address === '' ? others : [{ address, prefixLen }, ...others]
  return all.map(own => `${own.address}/${own.prefixLen}`)
}

/**
 * What of the IPv6 link can be had: nothing on a host without IPv6. Of an interface that somebody
 * else made the host's end is changed only if we are asked to.
 */
function usableLink6({ link6, bridge, vlan }: LinkConfig, tap: string, log: Warnings): Link6 {
  if (link6.addresses.length === 0 || bridge !== '' || vlan !== 0) return link6
  const problem = ipv6Problem(tap)
  if (problem !== '') {
    log.warn(`serving over IPv4 alone: ${problem}`)
    return NO_LINK6
  }
  const isForeign = link6.isDefault && persistentTaps().some(({ name }) => name === tap)
  return isForeign ? { ...link6, hostAddresses: [] } : link6
}
