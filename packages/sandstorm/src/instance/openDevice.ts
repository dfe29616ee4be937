/**
 * Opens the device of a configuration on the main thread, which owns its descriptors, and says what
 * the stack is to be on it: whose addresses, and how they are told to the link.
 */
import {
  type DeviceHandle,
  ipv6Problem,
  openPacket,
  openTap,
  openXdp,
  persistentTaps,
} from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import { type Link6, NO_LINK6 } from '../link6.ts'
import type { Log } from './instance.ts'

/** A device, and the addresses of the stack on it with their subnets: `10.77.0.2/24`, `fd77::2/64`. */
export interface Opened {
  readonly handle: DeviceHandle
  readonly addresses: readonly string[]
  /** The host's kernel has them as well, and answers for them. */
  readonly sharesAddresses: boolean
  /** How often neighbours are asked whether they have our IPv6 addresses. */
  readonly dadTransmits: number
}

/** Throws SysError, one clear line. */
export function openDevice(config: ServeConfig, log: Log): Opened {
  const { kind } = config.device
  return kind === 'packet' || kind === 'xdp' ? openNic(config) : openOurTap(config, log)
}

/** On an interface that is there already. */
function openNic(config: ServeConfig): Opened {
  const own = [...ownAddresses(config), ...config.link6.addresses]
  const open = config.device.kind === 'xdp' ? openXdp : openPacket
  const handle = open({
    interfaceName: config.device.name,
    addresses: own,
    port: config.port,
    mtu: config.mtu === 0 ? undefined : config.mtu,
    offloads: config.fault === '',
  })
  const { addresses, isShared } = handle
  return { handle, addresses, sharesAddresses: isShared, dadTransmits: 1 }
}

function openOurTap(config: ServeConfig, log: Log): Opened {
  const link6 = usableLink6(config, log)
  const own = [...ownAddresses(config), ...link6.addresses]
  const handle = openTap({
    name: config.device.name,
    mtu: config.mtu,
    hostAddresses: [`${config.hostAddress}/${config.prefixLen}`, ...link6.hostAddresses],
    serverAddresses: own,
    offloads: config.fault === '',
  })
  // Nobody but the host is on a link that we have just made, and its addresses were looked at.
  return { handle, addresses: own, sharesAddresses: false, dadTransmits: handle.persistent ? 1 : 0 }
}

/** Of IPv4, with subnets. */
function ownAddresses({ address, prefixLen, others }: ServeConfig): string[] {
  const all = address === '' ? others : [{ address, prefixLen }, ...others]
  return all.map(own => `${own.address}/${own.prefixLen}`)
}

/**
 * What of the IPv6 link can be had: nothing on a host without IPv6. Of an interface that somebody
 * else made the host's end is changed only if we are asked to.
 */
function usableLink6(config: ServeConfig, log: Log): Link6 {
  const { link6, device } = config
  if (link6.addresses.length === 0) return link6
  const problem = ipv6Problem(device.name)
  if (problem !== '') {
    log.warn(`serving over IPv4 alone: ${problem}`)
    return NO_LINK6
  }
  const isForeign = link6.isDefault && persistentTaps().some(({ name }) => name === device.name)
  return isForeign ? { ...link6, hostAddresses: [] } : link6
}
