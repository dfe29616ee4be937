/**
 * What the caller wants of a TAP, checked before anything is touched: the words themselves, and
 * whether this machine already uses the addresses for something else. The kernel would take the
 * same address on two interfaces without a word and send the answers wherever it likes.
 */
import { randomBytes } from 'node:crypto'
import { EADDRINUSE, EINVAL, SysError } from '../sys/errno.ts'
import { IFNAMSIZ } from '../sys/ifreq.ts'
import { type Link, type LinkAddress, listAddresses, listRoutes, type Route } from '../sys/links.ts'
import {
  addressText,
  asOneAddress,
  isLinkLocal,
  isSameAddress,
  overlaps,
  type Prefix,
  parsePrefix,
  prefixText,
} from '../sys/prefix.ts'

/** What the caller wants of a TAP. */
export interface TapOptions {
  /** Interface name; default `sand0`. */
  readonly name?: string
  /** Largest IP packet. Default: what a persistent TAP has, else 1500. */
  readonly mtu?: number
  /**
   * The kernel's addresses on the interface, with their subnets: `10.77.0.1/24`, `fd77::1/64`. One
   * without a length is alone in its subnet, so the kernel has no way to our stack.
   */
  readonly hostAddresses?: readonly string[]
  /** A bridge for the interface to join: the host's end is then the bridge's. */
  readonly bridge?: string | undefined
  /** The addresses that our stack will answer on; only checked against what the machine has. */
  readonly serverAddresses?: readonly string[]
  /** Several queues. Default: as a persistent TAP was made, else one. */
  readonly multiQueue?: boolean | undefined
  /** Leave checksums and segmentation to the kernel, both ways. */
  readonly offloads: boolean
}

/** Options with all words read. */
export interface TapPlan {
  readonly name: string
  readonly mtu: number | undefined
  readonly hosts: readonly Prefix[]
  readonly servers: readonly Prefix[]
  /** '': none. */
  readonly bridge: string
  readonly multiQueue: boolean | undefined
  readonly offloads: boolean
  readonly mac: Uint8Array
}

/** RFC 791 §3.2: 68 bytes go everywhere whole; the driver's most: 65535 less Ethernet's header. */
const MTU_MIN = 68
const MTU_MAX = 65521

function bad(what: string, hint: string): SysError {
  return new SysError(`tap: ${what}`, EINVAL, hint)
}

function readAddress(what: string, text: string): Prefix {
  const prefix = parsePrefix(text)
  const hint = 'give an IPv4 address as 10.77.0.1/24, or an IPv6 address as fd77::1/64'
  if (prefix === undefined) throw bad(`${what} ${text}`, hint)
  return prefix
}

/** Reads the options, or throws SysError(EINVAL) that names the bad one. */
export function planTap(options: TapOptions): TapPlan {
  const { name = 'sand0', mtu, multiQueue, offloads } = options
  // net/core/dev.c: dev_valid_name, and no % (the kernel would fill in a number).
  if (!/^[^\s/:%]+$/.test(name) || name === '.' || name === '..' || name.length >= IFNAMSIZ) {
    throw bad(`name '${name}'`, `give 1 to ${IFNAMSIZ - 1} bytes without space, '/', ':', '%'`)
  }
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX)) {
    throw bad(`MTU ${mtu}`, `give ${MTU_MIN} to ${MTU_MAX}`)
  }
  const { hostAddresses = [], serverAddresses = [] } = options
  const hosts = hostAddresses.map(text => readAddress('host address', text))
  const servers = serverAddresses.map(text => readAddress('server address', text))
  const shared = hosts.find(host => servers.some(server => isSameAddress(host, server)))
  if (shared !== undefined) {
    throw bad(`address ${addressText(shared)}`, 'server and host need two different addresses')
  }
  const mac = makeMac()
  return { name, mtu, hosts, servers, bridge: options.bridge ?? '', multiQueue, offloads, mac }
}

/** RFC 7042 §2.1: locally administered, unicast; 40 bits of chance. */
function makeMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(6))
  mac[0] = 0x02
  return mac
}

/** Throws SysError(EADDRINUSE) if an address of the plan serves something else on this machine. */
export function checkAddresses(plan: TapPlan, links: Link[]): void {
  const nameOf = (index: number): string =>
    links.find(link => link.index === index)?.name ?? `interface ${index}`
  const addresses = listAddresses()
  for (const server of plan.servers) checkFree(server, addresses, nameOf, '')
  for (const host of plan.hosts) checkFree(host, addresses, nameOf, plan.name)
  const routes = listRoutes().filter(
    ({ index }) => nameOf(index) !== plan.name && nameOf(index) !== plan.bridge,
  )
  for (const subnet of [...plan.hosts, ...plan.servers]) checkRoutes(plan, subnet, routes, nameOf)
}

/** No interface but `except` may have the address. */
function checkFree(
  wanted: Prefix,
  addresses: LinkAddress[],
  nameOf: (index: number) => string,
  except: string,
): void {
  for (const { index, prefix } of addresses) {
    if (!isSameAddress(prefix, wanted) || nameOf(index) === except) continue
    const hint = `${nameOf(index)} has it; choose another address, or take it from that interface`
    throw new SysError(`address ${addressText(wanted)}`, EADDRINUSE, hint)
  }
}

/**
 * A route as narrow as our subnet, or narrower and over a server in it, would take the packets away
 * from us. A wider one (a default route, a VPN's 10.0.0.0/8) yields to ours. Link-local subnets are
 * every link's own.
 */
function checkRoutes(
  plan: TapPlan,
  subnet: Prefix,
  routes: readonly Route[],
  nameOf: (index: number) => string,
): void {
  if (isLinkLocal(subnet)) return
  const servers = plan.servers.filter(server => overlaps(server, subnet))
  const inside = servers.length === 0 ? [subnet] : servers.map(asOneAddress)
  for (const { index, prefix } of routes) {
    if (prefix.len < subnet.len) continue
    const taken = prefix.len === subnet.len ? [subnet] : inside
    if (!taken.some(what => overlaps(prefix, what))) continue
    const hint = `${prefixText(prefix)} is routed to ${nameOf(index)}; choose another subnet`
    throw new SysError(`subnet ${prefixText(subnet)}`, EADDRINUSE, hint)
  }
}
