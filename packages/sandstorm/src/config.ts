/**
 * What `serve` was asked to do: checked once, here, and plain data from then on, so that it can be
 * posted to a worker. Whoever holds a ServeConfig need not doubt a value in it. The contract is the
 * command line; every refusal names the flag, the value and what was expected. A configuration file
 * (config/load.ts) becomes flags first, and its sites come ready.
 */
import {
  BATCH_MAX,
  type MemifRole,
  parseFault,
  REGION_MAX_BYTES,
  VLAN_ID_MAX,
  VLAN_ID_MIN,
} from '@sandstorm/libnmio'
import { TCP_DEFAULTS, tcb } from '@sandstorm/libtcpip'
import { ConfigError, UserError } from './cli/errors.ts'
import { formatIpv4, parseIpv4Prefix } from './cli/ipv4.ts'
import { formatSize, parseSize } from './cli/size.ts'
import { DEFAULT_LIMITS, type Limits } from './config/limits.ts'
import { checkNumber, checkOptionalNumber } from './config/numbers.ts'
import {
  type AccessLog,
  type Admin,
  checkAccessLog,
  checkAdmin,
  checkChoice,
  checkLogLevel,
  type OperationFlags,
} from './config/operation.ts'
import { checkFolder, checkOutput } from './config/paths.ts'
import { applySiteFlags, type SiteFlags } from './config/siteFlags.ts'
import { refuseStackFlag, stackFlagsOf } from './config/stackFlags.ts'
import {
  checkCpus,
  checkDevices,
  checkInterfaceName,
  type DeviceKind,
  type DeviceName,
  networkKind,
  TAP_NAME,
  WORKERS_MAX,
} from './devices.ts'
import { checkLink4, type Link4, type Link4Flags, NO_LINK4 } from './link4.ts'
import { checkLink6, type Link6, type Link6Flags, NO_LINK6 } from './link6.ts'
import type { LogLevel } from './log/operatorLog.ts'
import { KERNEL_CONNECTIONS } from './mount/limits.ts'
import { plainSite, type Site } from './site/site.ts'

export { ConfigError }

/**
 * The smallest MTU: what every IPv4 host must be able to receive (RFC 791 §3.1); less is all
 * headers.
 */
export const MTU_MIN = 576
/** The largest: the jumbo frame that network cards agree on. */
export const MTU_MAX = 9000
/** Less has no room for rings and a useful number of frames. */
const MEMORY_MIN_BYTES: number = 16 * 2 ** 20
/** Longer than a round trip on any link where looking is worth it. */
export const SPIN_MAX_US = 1000
/** Far below all time-outs of TCP, which a longer one would disturb. */
export const TX_DELAY_MAX_US = 1000
/** Calls of ours do not block, so that this says little more than yes. */
export const BUSY_POLL_MAX_US = 1000
/** More than one card has slots to hold copies of one packet. */
export const REPLICAS_MAX = 1024
export const TAP_PORT = 80
export const KERNEL_ADDRESS = '127.0.0.1'
export const KERNEL_PORT = 8080

export type Transmit = 'auto' | 'template' | 'gather' | 'copy'
export type CongestionName = 'cubic' | 'newreno'

export interface ServeConfig extends Link4 {
  /** One at least; the first answers for host names that belong to none. */
  readonly sites: readonly Site[]
  /** One at least; several only of our own stack. */
  readonly devices: readonly DeviceName[]
  /** Our own stack's IPv6 addresses, and its port. */
  readonly link6: Link6
  readonly port: number
  /** The kernel's stack, for `kernel` and for what `auto` falls back to. */
  readonly kernel: {
    readonly address: string
    readonly port: number
    readonly connections: number
  }
  /** The largest IP packet, bytes; 0: what the interface takes. */
  readonly mtu: number
  readonly memoryBytes: number
  readonly transmit: Transmit
  /** Copies of each packet made in advance; 0: on demand. */
  readonly replicas: number
  readonly cc: CongestionName
  readonly pacing: boolean
  /** Capture file, as an absolute path; '': none. */
  readonly pcap: string
  readonly trace: boolean
  /**
   * A packet thread looks for the next frame for so long before it sleeps; undefined: as suits the
   * machine.
   */
  readonly spinUs: number | undefined
  /** For measurements: frames of a batch at most; and so long frames to be sent wait for others. */
  readonly rxBatch: number
  readonly txDelayUs: number
  /** Who listens at memif's socket, and which of its interfaces we are. */
  readonly memif: { readonly role: MemifRole; readonly id: number }
  /** AF_XDP's socket is busy polled, SO_BUSY_POLL for so long; 0: interrupts bring frames. */
  readonly busyPollUs: number
  /** Our addresses are used without asking whether somebody else on the link has them. */
  readonly trustsAddresses: boolean
  /** The bridge that the TAP joins; '': none. */
  readonly bridge: string
  /** The VLAN of the link that we are in; 0: none, frames have no tag. */
  readonly vlan: number
  /** As given, for libnmio's parseFault; '': none. */
  readonly fault: string
  /** Packet threads of each device, and the connections that each has room for. */
  readonly workers: number
  readonly connections: number
  /** The CPUs that they are pinned to, in turn; none: any. */
  readonly cpus: readonly number[]
  /** The flags that were given and mean nothing to the kernel's stack. */
  readonly stackFlags: readonly string[]
  readonly accessLog: AccessLog
  /** Where counters and health are told; undefined: nowhere. */
  readonly admin: Admin | undefined
  readonly logLevel: LogLevel
  readonly limits: Limits
}

/** The flags of `serve` as they were typed; what was not given is absent. */
export interface ServeFlags extends Link4Flags, Link6Flags, OperationFlags, SiteFlags {
  /** The folder, unless there are sites, or an origin alone. */
  readonly root?: string
  /** From a file, checked. */
  readonly sites?: readonly Site[]
  readonly limits?: Limits
  readonly device?: readonly string[]
  readonly port?: string
  readonly mtu?: string
  readonly memory?: string
  readonly transmit?: string
  readonly replicas?: string
  readonly cc?: string
  readonly pacing?: boolean
  readonly pcap?: string
  readonly trace?: boolean
  readonly fault?: string
  readonly workers?: string
  readonly connections?: string
  readonly cpus?: string
  readonly memifRole?: string
  readonly memifId?: string
  readonly spin?: string
  readonly rxBatch?: string
  readonly txDelay?: string
  readonly busyPoll?: string
  readonly trustAddress?: boolean
  readonly bridge?: string
  readonly vlan?: string
}

/** Runs one check; what comes of a refusal is the caller's business. */
type Attempt = <T>(check: () => T) => T

/** Checks everything, or throws the first ConfigError. */
export function checkConfig(raw: ServeFlags): ServeConfig {
  return checkAll(raw, check => check())
}

/** Everything that checkConfig would refuse, one after the other; none: it will not. */
export function findProblems(raw: ServeFlags): UserError[] {
  const problems: UserError[] = []
  const attempt = <T>(check: () => T): T => {
    try {
      return check()
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      // A value may be looked at twice, as an address of ours and of the kernel's.
      if (problems.every(({ what }) => what !== error.what)) problems.push(error)
      return undefined as T // nobody looks at a configuration with problems
    }
  }
  attempt(() => checkAll(raw, attempt))
  return problems
}

function checkAll(raw: ServeFlags, attempt: Attempt): ServeConfig {
  const devices = checkDevices(raw.device ?? ['auto'])
  const kind = networkKind(devices, raw)
  const stackFlags = stackFlagsOf(raw)
  if (kind === 'kernel') for (const flag of stackFlags) attempt(() => refuseStackFlag(flag))
  const bridge = attempt(() => checkBridge(raw, kind))
  const vlan = attempt(() => checkVlan(raw.vlan, devices))
  const hasOthers = kind === 'memif' || bridge !== '' || vlan > 0
  const isNic = kind === 'packet' || kind === 'xdp'
  const isOnLink = isNic || hasOthers
  if (isOnLink) attempt(() => refuseHostAddress(raw))
  if (kind === 'memif') attempt(() => demandAddress('--device memif', raw))
  else if (vlan > 0) attempt(() => demandAddress('--vlan', raw))
  const port = attempt(() => checkOptionalNumber('--port', raw.port, 1, 65535))
  const mtuDefault = isOnLink || devices.length > 1 ? 0 : 1500
  const mtu = attempt(() => checkOptionalNumber('--mtu', raw.mtu, MTU_MIN, MTU_MAX)) ?? mtuDefault
  const connections = attempt(() => checkConnections(raw.connections))
  const isKernel = kind === 'kernel'
  return {
    sites: attempt(() => checkSites(raw)),
    // Who names a bridge or a VLAN wants a TAP, and no other way out.
    devices: devices.map(one => (one.kind === 'auto' && hasOthers ? TAP : one)),
    ...(isKernel ? NO_LINK4 : attempt(() => checkLink4(raw, isOnLink, isNic))),
    link6: isKernel ? NO_LINK6 : attempt(() => checkLink6(raw, mtu, isOnLink)),
    port: port ?? (isKernel ? KERNEL_PORT : TAP_PORT),
    kernel: {
      address: attempt(() => checkKernelAddress(raw.address?.[0])),
      port: port ?? KERNEL_PORT,
      connections: connections ?? KERNEL_CONNECTIONS,
    },
    mtu,
    ...checkPackets(raw, attempt),
    workers: attempt(() => checkOptionalNumber('--workers', raw.workers, 1, WORKERS_MAX)) ?? 1,
    connections: connections ?? TCP_DEFAULTS.maxConnections,
    cpus: raw.cpus === undefined ? [] : attempt(() => checkCpus(raw.cpus ?? '')),
    memif: attempt(() => checkMemif(raw, devices)),
    busyPollUs: attempt(() => checkBusyPoll(raw, devices)),
    trustsAddresses: raw.trustAddress ?? false,
    bridge,
    vlan,
    stackFlags,
    accessLog: attempt(() => checkAccessLog(raw)),
    admin: attempt(() => checkAdmin(raw)),
    logLevel: attempt(() => checkLogLevel(raw)),
    limits: raw.limits ?? DEFAULT_LIMITS,
  }
}

type PacketKeys =
  | 'memoryBytes'
  | 'transmit'
  | 'replicas'
  | 'cc'
  | 'pacing'
  | 'pcap'
  | 'trace'
  | 'fault'
  | 'spinUs'
  | 'rxBatch'
  | 'txDelayUs'

/** What becomes of packets between the stack and the device. */
function checkPackets(raw: ServeFlags, attempt: Attempt): Pick<ServeConfig, PacketKeys> {
  const { pcap } = raw
  return {
    memoryBytes: attempt(() => checkMemory(raw.memory ?? '1GiB')),
    transmit: attempt(() => checkChoice('--transmit', raw.transmit ?? 'auto', TRANSMITS)),
    replicas: attempt(() => checkOptionalNumber('--replicas', raw.replicas, 1, REPLICAS_MAX)) ?? 0,
    cc: attempt(() => checkChoice('--cc', raw.cc ?? 'cubic', CONGESTIONS)),
    pacing: raw.pacing ?? false,
    pcap: pcap === undefined ? '' : attempt(() => checkOutput('--pcap', pcap, 'out.pcapng')),
    trace: raw.trace ?? false,
    fault: attempt(() => checkFault(raw.fault)),
    spinUs: attempt(() => checkOptionalNumber('--spin', raw.spin, 0, SPIN_MAX_US)),
    rxBatch:
      attempt(() => checkOptionalNumber('--rx-batch', raw.rxBatch, 1, BATCH_MAX)) ?? BATCH_MAX,
    txDelayUs:
      attempt(() => checkOptionalNumber('--tx-delay', raw.txDelay, 0, TX_DELAY_MAX_US)) ?? 0,
  }
}

/** Those of the file, or the folder; changed by the flags. */
function checkSites(raw: ServeFlags): Site[] {
  const isFolderless = raw.root === undefined && raw.origin !== undefined
  const root = (): string => (isFolderless ? '' : checkFolder('DIR', raw.root ?? ''))
  return (raw.sites ?? [plainSite(root())]).map(site => applySiteFlags(site, raw))
}

export const ROLES = ['client', 'server'] as const
export const TRANSMITS = ['auto', 'template', 'gather', 'copy'] as const
export const CONGESTIONS = ['cubic', 'newreno'] as const

const TAP: DeviceName = { kind: 'tap', name: TAP_NAME }

/** Where there are others, no address is ours by default. */
function demandAddress(flag: string, { address, address6 }: ServeFlags): void {
  if (address !== undefined || address6 !== undefined) return
  throw new UserError(flag, 'needs an address of ours there', 'Give one with --address')
}

function checkMemif(raw: ServeFlags, devices: readonly DeviceName[]): ServeConfig['memif'] {
  for (const [flag, value] of [
    ['--memif-role', raw.memifRole],
    ['--memif-id', raw.memifId],
  ] as const) {
    if (value !== undefined) demandDevice(flag, devices, 'memif', 'SOCKET')
  }
  return {
    role: checkChoice('--memif-role', raw.memifRole ?? 'client', ROLES),
    id: checkNumber('--memif-id', raw.memifId ?? '0', 0, 0xffffffff),
  }
}

function checkBusyPoll({ busyPoll }: ServeFlags, devices: readonly DeviceName[]): number {
  if (busyPoll === undefined) return 0
  demandDevice('--busy-poll', devices, 'xdp', 'IF')
  return checkNumber('--busy-poll', busyPoll, 0, BUSY_POLL_MAX_US)
}

/** A flag that says something to one kind of device alone. */
function demandDevice(
  flag: string,
  devices: readonly DeviceName[],
  kind: DeviceKind,
  name: string,
): void {
  if (devices.some(one => one.kind === kind)) return
  throw new UserError(flag, `is for ${kind}`, `Leave it out, or use --device ${kind}:${name}`)
}

/** A TAP on a bridge is a host among others: its address is to be told. */
function checkBridge(raw: ServeFlags, kind: DeviceKind): string {
  const { bridge } = raw
  if (bridge === undefined) return ''
  if (kind !== 'tap' && kind !== 'auto')
    throw new UserError('--bridge', 'is for a TAP', 'Leave it out, or use --device tap')
  demandAddress('--bridge', raw)
  return checkInterfaceName('--bridge', bridge, bridge, 'a NAME')
}

/** A VLAN of a TAP or memif; 0: none. Of an interface's VLANs each is an interface itself. */
export function checkVlan(text: string | undefined, devices: readonly DeviceName[]): number {
  if (text === undefined) return 0
  const id = checkNumber('--vlan', text, VLAN_ID_MIN, VLAN_ID_MAX)
  const nic = devices.find(({ kind }) => kind === 'packet' || kind === 'xdp')
  if (nic === undefined) return id
  const { kind, name } = nic
  const why = `is for a TAP or memif, and ${name}’s VLANs are interfaces of their own`
  const make = `ip link add link ${name} name ${name}.${id} type vlan id ${id}`
  throw new UserError('--vlan', why, `Run ${make}, and use --device ${kind}:${name}.${id}`)
}

/** On a link that is there already the host's end is somewhere else. */
export function refuseHostAddress(raw: Pick<ServeFlags, 'hostAddress' | 'hostAddress6'>): void {
  const flag = raw.hostAddress === undefined ? '--host-address6' : '--host-address'
  if (raw.hostAddress === undefined && raw.hostAddress6 === undefined) return
  throw new UserError(flag, "is the host's end of a TAP", 'Leave it out, or use --device tap alone')
}

/** A /LEN is accepted and ignored. */
function checkKernelAddress(text: string | undefined): string {
  if (text === undefined) return KERNEL_ADDRESS
  const parsed = parseIpv4Prefix(text)
  if (parsed === undefined)
    throw new ConfigError('--address', text, 'not an IPv4 address', 'one like 127.0.0.1')
  return formatIpv4(parsed.address)
}

const checkConnections = (text: string | undefined): number | undefined =>
  checkOptionalNumber('--connections', text, 1, tcb.CONNECTIONS_MAX)

function checkMemory(text: string): number {
  const bytes = parseSize(text)
  if (bytes >= MEMORY_MIN_BYTES && bytes <= REGION_MAX_BYTES) return bytes
  const most = formatSize(Math.floor(REGION_MAX_BYTES / 2 ** 20) * 2 ** 20)
  const why = Number.isNaN(bytes) ? 'not a size' : 'out of range'
  const expected = `${formatSize(MEMORY_MIN_BYTES)} to ${most}, like 512MiB or 300M`
  throw new ConfigError('--memory', text, why, expected)
}

function checkFault(text: string | undefined): string {
  if (text === undefined) return ''
  try {
    parseFault(text)
  } catch (error) {
    const why = (error as Error).message
    throw new ConfigError('--fault', text, why, 'a list like drop=0.01,delay=5ms,seed=1')
  }
  return text
}
