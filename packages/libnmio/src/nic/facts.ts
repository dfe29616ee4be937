/**
 * What the machine's interfaces are good for, as facts for a person to read. Nothing is changed by
 * looking.
 */
import { driverName, hasLro, receiveQueues } from '../sys/ethtool.ts'
import { listAddresses, listLinks } from '../sys/links.ts'
import { XDP_ACT_BASIC, XDP_ACT_XSK_ZEROCOPY, xdpFeatures } from '../sys/netdev.ts'
import { isLinkLocal, prefixText } from '../sys/prefix.ts'
import { koffiProblem } from '../sys/probe.ts'

/**
 * Where an XDP program runs: in the kernel's common code; in the driver, which copies; in the
 * driver, without a copy.
 */
export type XdpSupport = 'unknown' | 'generic' | 'native' | 'zero-copy'

export interface NicFacts {
  readonly name: string
  readonly driver: string
  readonly isUp: boolean
  readonly mtu: number
  /** `192.0.2.7/24`; link-local ones are left out. */
  readonly addresses: readonly string[]
  readonly receiveQueues: number
  readonly hasLro: boolean
  readonly xdp: XdpSupport
}

/** linux/if_arp.h. */
const ARPHRD_ETHER = 1

/** The interfaces with Ethernet frames, but no TAPs; none where they cannot be listed. */
export function nicFacts(): NicFacts[] {
  if (koffiProblem() !== '') return []
  const features = xdpFeatures()
  const all = listAddresses()
  return listLinks()
    .filter(({ type, tun }) => type === ARPHRD_ETHER && tun === undefined)
    .map(({ name, index, up, mtu }) => ({
      name,
      driver: driverName(name),
      isUp: up,
      mtu,
      addresses: all
        .filter(address => address.index === index && !isLinkLocal(address.prefix))
        .map(({ prefix }) => prefixText(prefix)),
      receiveQueues: receiveQueues(name).count,
      hasLro: hasLro(name),
      xdp: features === undefined ? 'unknown' : supportOf(features.get(index) ?? 0),
    }))
}

function supportOf(bits: number): XdpSupport {
  if ((bits & XDP_ACT_BASIC) === 0) return 'generic'
  return (bits & XDP_ACT_XSK_ZEROCOPY) === 0 ? 'native' : 'zero-copy'
}
