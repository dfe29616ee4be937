/**
 * What `serve` was asked to do: checked once, here, and plain data from then on, so that it can be
 * posted to a worker. Whoever holds a ServeConfig need not doubt a value in it. The contract is the
 * command line; every refusal names the flag, the value and what was expected.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type MemifRole, parseFault, REGION_MAX_BYTES } from '@sandstorm/libnmio'
import { ConfigError, UserError } from './cli/errors.ts'
import { formatIpv4, parseIpv4Prefix } from './cli/ipv4.ts'
import { formatSize, parseSize } from './cli/size.ts'
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

export { ConfigError }

/** The smallest MTU: what every IPv4 host must be able to receive (RFC 791 §3.1); less is all headers. */
export const MTU_MIN = 576
/** The largest: the jumbo frame that network cards agree on. */
export const MTU_MAX = 9000
/** Less has no room for rings and a useful number of frames. */
export const MEMORY_MIN_BYTES: number = 16 * 2 ** 20
/** Longer than a round trip on any link where looking is worth it. */
export const SPIN_MAX_US = 1000
/** More than one card has slots to hold copies of one packet. */
export const REPLICAS_MAX = 1024
export const TAP_PORT = 80
export const KERNEL_ADDRESS = '127.0.0.1'
export const KERNEL_PORT = 8080

export type Transmit = 'auto' | 'template' | 'gather' | 'copy'
export type CongestionName = 'cubic' | 'newreno'

export interface ServeConfig extends Link4 {
  /** The folder, as an absolute path. */
  readonly root: string
  /** One at least; several only of our own stack. */
  readonly devices: readonly DeviceName[]
  /** Our own stack's IPv6 addresses, and its port. */
  readonly link6: Link6
  readonly port: number
  /** The kernel's stack, for `kernel` and for what `auto` falls back to. */
  readonly kernel: { readonly address: string; readonly port: number }
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
  /** A packet thread looks for the next frame for so long before it sleeps; undefined: as suits the machine. */
  readonly spinUs: number | undefined
  /** Who listens at memif's socket, and which of its interfaces we are. */
  readonly memif: { readonly role: MemifRole; readonly id: number }
  /** The bridge that the TAP joins; '': none. */
  readonly bridge: string
  /** As given, for libnmio's parseFault; '': none. */
  readonly fault: string
  /** Packet threads of each device. */
  readonly workers: number
  /** The CPUs that they are pinned to, in turn; none: any. */
  readonly cpus: readonly number[]
  /** The flags that were given and mean nothing to the kernel's stack. */
  readonly stackFlags: readonly string[]
}

/** The flags of `serve` as they were typed; what was not given is absent. */
export interface ServeFlags extends Link4Flags, Link6Flags {
  readonly root: string
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
  readonly cpus?: string
  readonly memifRole?: string
  readonly memifId?: string
  readonly spin?: string
  readonly bridge?: string
}

/** Checks everything, or throws the first ConfigError. */
export function checkConfig(raw: ServeFlags): ServeConfig {
  const devices = checkDevices(raw.device ?? ['auto'])
  const kind = networkKind(devices, raw)
  const stackFlags = stackFlagsOf(raw)
  if (kind === 'kernel' && stackFlags.length > 0) {
    throw new UserError(
      stackFlags[0],
      'works on our own stack, and --device kernel is not that',
      'Leave it out, or use --device tap',
    )
  }
  const bridge = checkBridge(raw, kind)
  const isOnLink = kind === 'packet' || kind === 'xdp' || kind === 'memif' || bridge !== ''
  if (isOnLink) refuseHostAddress(raw)
  const port = raw.port === undefined ? undefined : checkNumber('--port', raw.port, 1, 65535)
  const addresses = raw.address ?? []
  if (kind === 'memif') demandAddress('--device memif', raw)
  const mtuDefault = isOnLink || devices.length > 1 ? 0 : 1500
  const mtu = raw.mtu === undefined ? mtuDefault : checkNumber('--mtu', raw.mtu, MTU_MIN, MTU_MAX)
  return {
    root: checkFolder('DIR', raw.root),
    // Who names a bridge wants a TAP, and no other way out.
    devices: devices.map(one => (one.kind === 'auto' && bridge !== '' ? TAP : one)),
    ...(kind === 'kernel' ? NO_LINK4 : checkLink4(raw, isOnLink)),
    link6: kind === 'kernel' ? NO_LINK6 : checkLink6(raw, mtu, isOnLink),
    port: port ?? (kind === 'kernel' ? KERNEL_PORT : TAP_PORT),
    kernel: { address: checkKernelAddress(addresses[0]), port: port ?? KERNEL_PORT },
    mtu,
    memoryBytes: checkMemory(raw.memory ?? '1GiB'),
    transmit: checkChoice('--transmit', raw.transmit ?? 'auto', TRANSMITS),
    replicas:
      raw.replicas === undefined ? 0 : checkNumber('--replicas', raw.replicas, 1, REPLICAS_MAX),
    cc: checkChoice('--cc', raw.cc ?? 'cubic', CONGESTIONS),
    pacing: raw.pacing ?? false,
    pcap: checkPcap(raw.pcap),
    trace: raw.trace ?? false,
    fault: checkFault(raw.fault),
    workers: checkNumber('--workers', raw.workers ?? '1', 1, WORKERS_MAX),
    cpus: raw.cpus === undefined ? [] : checkCpus(raw.cpus),
    memif: checkMemif(raw, devices),
    spinUs: raw.spin === undefined ? undefined : checkNumber('--spin', raw.spin, 0, SPIN_MAX_US),
    bridge,
    stackFlags,
  }
}

const ROLES = ['client', 'server'] as const
const TRANSMITS = ['auto', 'template', 'gather', 'copy'] as const
const CONGESTIONS = ['cubic', 'newreno'] as const

/** The kernel's stack makes its own frames: these flags would do nothing there. */
function stackFlagsOf(raw: ServeFlags): string[] {
  const flags: [string, unknown][] = [
    ['--host-address', raw.hostAddress],
    ['--gateway', raw.gateway],
    ['a second --address', raw.address?.[1]],
    ['--address6', raw.address6],
    ['--host-address6', raw.hostAddress6],
    ['--gateway6', raw.gateway6],
    ['--mtu', raw.mtu],
    ['--transmit', raw.transmit],
    ['--replicas', raw.replicas],
    ['--cc', raw.cc],
    ['--pacing', raw.pacing],
    ['--pcap', raw.pcap],
    ['--trace', raw.trace],
    ['--fault', raw.fault],
    ['--workers', raw.workers],
    ['--cpus', raw.cpus],
    ['--spin', raw.spin],
    ['--memif-role', raw.memifRole],
    ['--memif-id', raw.memifId],
    ['--bridge', raw.bridge],
  ]
  return flags.filter(([, value]) => value !== undefined).map(([flag]) => flag)
}

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
    if (value === undefined || devices.some(({ kind }) => kind === 'memif')) continue
    throw new UserError(flag, 'is for memif', 'Leave it out, or use --device memif:SOCKET')
  }
  return {
    role: checkChoice('--memif-role', raw.memifRole ?? 'client', ROLES),
    id: checkNumber('--memif-id', raw.memifId ?? '0', 0, 0xffffffff),
  }
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

/** On a link that is there already the host's end is somewhere else. */
function refuseHostAddress(raw: ServeFlags): void {
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

function checkNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  const why = Number.isNaN(value) ? 'not a whole number' : 'out of range'
  throw new ConfigError(flag, text, why, `a number from ${least} to ${most}`)
}

function checkChoice<T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find(known => known === text)
  if (choice !== undefined) return choice
  throw new ConfigError(flag, text, 'no such choice', choices.join(', '))
}

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

function checkPcap(text: string | undefined): string {
  if (text === undefined) return ''
  const path = resolve(text)
  if (text === '' || isFolder(path))
    throw new ConfigError('--pcap', text, 'not a file name', 'a file to write, like out.pcapng')
  if (!isFolder(dirname(path)))
    throw new ConfigError('--pcap', text, 'its folder is not there', 'a file in a folder that is')
  return path
}

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** The folder as an absolute path, if it is one that can be listed and entered. */
function checkFolder(flag: string, text: string): string {
  const path = resolve(text)
  const expected = 'a folder with files to serve'
  let why = ''
  try {
    if (!statSync(path).isDirectory()) why = 'not a folder'
    else accessSync(path, constants.R_OK | constants.X_OK)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    why = code === 'ENOENT' ? 'not there' : `cannot be read (${code})`
  }
  if (text !== '' && why === '') return path
  throw new ConfigError(flag, text, text === '' ? 'nothing given' : why, expected)
}
