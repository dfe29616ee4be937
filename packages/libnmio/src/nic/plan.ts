/**
 * What packet and xdp are asked to do on an interface that is there already: which one, whose the
 * addresses are, which frames are therefore ours. Checked before anything is touched.
 *
 * With an address that the interface has, or none given, we share the interface's: TCP to our port
 * is steered to us, and the kernel keeps everything else (bpf/steer.ts). With other addresses they
 * are ours alone, and we answer ARP and neighbour discovery for them.
 */
import { createHash } from 'node:crypto'
import type { Steering } from '../bpf/steer.ts'
import { EADDRINUSE, EINVAL, ENETDOWN, ENODEV, SysError } from '../sys/errno.ts'
import { type Link, type LinkAddress, listAddresses, listLinks } from '../sys/links.ts'
import {
  addressText,
  isIpv6Prefix,
  isLinkLocal,
  isSameAddress,
  type Prefix,
  parsePrefix,
  prefixText,
} from '../sys/prefix.ts'

/** What the caller wants of an interface that is there. */
export interface NicOptions {
  /** The interface: `eth1`. */
  readonly interfaceName: string
  /** Our addresses with their subnets, `192.168.1.7/24`, `fd00::7/64`; none: the interface's. */
  readonly addresses: readonly string[]
  /** The TCP port that is ours where an address is shared. */
  readonly port: number
  /** Largest IP packet; default what the interface takes. */
  readonly mtu?: number | undefined
  /** Leave checksums and segmentation to the kernel where the device can. */
  readonly offloads: boolean
}

export interface NicPlan {
  readonly link: Link
  readonly mtu: number
  /** What the stack answers on, with subnets. */
  readonly addresses: readonly Prefix[]
  readonly isShared: boolean
  readonly steering: Steering
}

/** linux/if_arp.h. */
const ARPHRD_ETHER = 1

/** Reads the options against what the machine has, or throws SysError that says what to do. */
export function planNic(kind: string, options: NicOptions): NicPlan {
  const what = `${kind}:${options.interfaceName}`
  const links = listLinks()
  const link = usableLink(what, options.interfaceName, links)
  const mtu = options.mtu ?? link.mtu
  if (mtu > link.mtu) {
    const hint = `the interface takes ${link.mtu}; sudo ip link set ${link.name} mtu ${mtu}`
    throw new SysError(`${what}: MTU ${mtu}`, EINVAL, hint)
  }
  const all = listAddresses()
  const has = all.filter(({ index }) => index === link.index).map(({ prefix }) => prefix)
  const asked = options.addresses.map(text => readAddress(what, text))
  const wanted = asked.length > 0 ? asked : has.filter(prefix => !isLinkLocal(prefix))
  if (wanted.length === 0) {
    const hint = `give one with --address, or to the interface: sudo ip address add ADDRESS/LEN dev ${link.name}`
    throw new SysError(`${what} has no address`, EINVAL, hint)
  }
  const shared = wanted.filter(address => has.some(own => isSameAddress(own, address)))
  const isShared = shared.length > 0
  if (isShared && shared.length < wanted.length) {
    const hint = `${shared.map(addressText).join(', ')} belongs to the interface, the others do not; give one kind`
    throw new SysError(`${what}: addresses`, EINVAL, hint)
  }
  const { port } = options
  if (isShared) {
    // The subnets of what the interface has are the kernel's to know.
    const addresses = has.filter(own => shared.some(a => isSameAddress(a, own)))
    return { link, mtu, addresses, isShared, steering: { own: [], shared: bytesOf(shared), port } }
  }
  for (const address of wanted) checkFree(address, all, links)
  checkSubnets(what, wanted)
  const addresses = withLinkLocal(wanted, link.mac)
  return { link, mtu, addresses, isShared, steering: { own: bytesOf(addresses), shared: [], port } }
}

const bytesOf = (addresses: readonly Prefix[]): Uint8Array[] => addresses.map(({ bytes }) => bytes)

/**
 * Neighbour discovery speaks from a link-local address (RFC 4291 §2.8). The one that comes with the
 * hardware address is the kernel's, so ours is made of both and the first of ours, and is the same
 * each time (RFC 7217's idea; DAD tells if somebody has it all the same).
 */
function withLinkLocal(wanted: readonly Prefix[], mac: Uint8Array): readonly Prefix[] {
  const first = wanted.find(isIpv6Prefix)
  if (first === undefined || wanted.some(isLinkLocal)) return wanted
  const hash = createHash('sha256').update(mac).update(first.bytes).digest()
  const bytes = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...hash.subarray(0, 8))
  return [...wanted, { bytes, len: 64 }]
}

function usableLink(what: string, name: string, links: readonly Link[]): Link {
  const link = links.find(link => link.name === name)
  if (link === undefined) {
    const names = links.filter(({ type }) => type === ARPHRD_ETHER).map(link => link.name)
    const hint = names.length === 0 ? 'there is none here' : `there are ${names.join(', ')}`
    throw new SysError(`${what}: no such interface`, ENODEV, hint)
  }
  if (link.type !== ARPHRD_ETHER) {
    throw new SysError(`${what}: no Ethernet`, EINVAL, 'choose an interface with Ethernet frames')
  }
  if (!link.up) {
    throw new SysError(`${what} is down`, ENETDOWN, `sudo ip link set ${name} up`)
  }
  return link
}

function readAddress(what: string, text: string): Prefix {
  const prefix = parsePrefix(text)
  if (prefix !== undefined) return prefix
  const hint = 'give an IPv4 address as 192.168.1.7/24, or an IPv6 address as fd00::7/64'
  throw new SysError(`${what}: address ${text}`, EINVAL, hint)
}

/** Of our own IPv4 addresses one at least has neighbours; of IPv6 the link-local one has. */
function checkSubnets(what: string, wanted: readonly Prefix[]): void {
  const list4 = wanted.filter(address => !isIpv6Prefix(address))
  if (list4.length === 0 || list4.some(({ len }) => len < 32)) return
  const hint = "it is not the interface's, so give it with its subnet, as 192.168.1.7/24"
  throw new SysError(`${what}: address ${prefixText(list4[0])}`, EINVAL, hint)
}

/** An address of our own may be nobody else's on this machine. */
function checkFree(wanted: Prefix, all: readonly LinkAddress[], links: readonly Link[]): void {
  const taken = all.find(({ prefix }) => isSameAddress(prefix, wanted))
  if (taken === undefined) return
  const owner = links.find(link => link.index === taken.index)?.name ?? 'another interface'
  const hint = `${owner} has it; choose another address, or serve on ${owner}`
  throw new SysError(`address ${prefixText(wanted)}`, EADDRINUSE, hint)
}
