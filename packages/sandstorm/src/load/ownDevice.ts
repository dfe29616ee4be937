/**
 * The device of our own stack on which a plan is carried out, with a queue for each thread: opened
 * by the main thread, as `serve` does it. Thread 0 speaks for our addresses, and is told what is of
 * no connection.
 */
import { randomInt } from 'node:crypto'
import {
  closeHandles,
  deviceName,
  hubBytes,
  ipv6Problem,
  memifRegionBytes,
  REGION_MAX_BYTES,
  Region,
  type Spread,
  tapDrops,
} from '@sandstorm/libnmio'
import { STATION_WORDS } from '@sandstorm/libtcpip'
import { ConfigError, UserError } from '../cli/errors.ts'
import { type LinkConfig, type Opened, openDevice } from '../instance/openDevice.ts'
import { equalParts, PART_ALIGN, queueSetup } from '../instance/queue.ts'
import { FRAMES_MIN } from '../server.ts'
import type { LoadPlan } from './plan.ts'
import type { OwnSetup } from './threadSetup.ts'

/**
 * Of a thread: rings, and frames for SYNs, ACKs and requests; less where there are too many threads
 * for that.
 */
const PART_BYTES = 64 << 20
/** Of all threads with memif, whose servers take 32 MiB of a peer's memory and no more. */
const MEMIF_BYTES = 30 << 20
/** Of a thread beside the rings of memif: fewer frames would do no good. */
const MEMIF_FRAMES_BYTES = (FRAMES_MIN + 64) << 11

export class OwnDevice {
  /** For people: `tap:sand0`. */
  readonly name: string
  /** By thread. */
  readonly setups: readonly OwnSetup[]
  readonly #opened: Opened
  readonly #dropsBefore: number

  /** Opens it. Throws errors that are one clear line. */
  constructor(plan: LoadPlan, warn: (line: string) => void) {
    const spread = { count: plan.threads, key: randomInt(2 ** 31) }
    this.#opened = open(plan, spread, warn)
    this.name = deviceName(this.#opened.handles[0])
    this.setups = setupsOf(plan, this.#opened, spread)
    this.#dropsBefore = this.#drops()
  }

  /**
   * Frames for us that were lost on this machine since it was opened, `byThreads` among them;
   * undefined: nobody counts them all.
   */
  framesLost(byThreads: number): number | undefined {
    const { kind } = this.#opened.handles[0]
    if (kind !== 'tap' && kind !== 'packet') return undefined
    // An interface that is gone has no counters any more.
    return byThreads + Math.max(0, this.#drops() - this.#dropsBefore)
  }

  /** When no thread uses it any more. */
  close(): void {
    closeOpened(this.#opened)
  }

  /** By the host, whose queue to a TAP was full. */
  #drops(): number {
    const [handle] = this.#opened.handles
    return handle.kind === 'tap' ? tapDrops(handle) : 0
  }
}

function open(plan: LoadPlan, spread: Spread, warn: (line: string) => void): Opened {
  const config: LinkConfig = {
    ...plan.link4,
    devices: [plan.device],
    link6: plan.link6,
    port: plan.target.port,
    mtu: plan.mtu,
    busyPollUs: 0,
    bridge: '',
    vlan: plan.vlan,
    trustsAddresses: false,
    memif: { role: 'client', id: 0 },
    fault: '',
  }
  checkHost(plan)
  const opened = openDevice(config, plan.device, spread, { warn })
  try {
    checkOpened(opened)
    return opened
  } catch (error) {
    closeOpened(opened)
    throw error
  }
}

/** `serve` goes on over IPv4 where a host has no IPv6; there is no other way to an IPv6 address. */
function checkHost({ device, target, link6 }: LoadPlan): void {
  if (device.kind !== 'tap' || link6.addresses.length === 0) return
  const problem = ipv6Problem(device.name)
  if (problem !== '') throw new UserError(`URL ${target.host}`, problem, 'Ask an IPv4 address')
}

function checkOpened({ handles, sharesAddresses }: Opened): void {
  if (sharesAddresses) {
    const why = 'the interface has that address, and answers to it are the kernel’s'
    throw new UserError('--address', why, 'Give one on its subnet that nobody has')
  }
  const [handle] = handles
  if (handle.kind !== 'memif') return
  const most = Math.floor(MEMIF_BYTES / (memifRegionBytes(handle) + MEMIF_FRAMES_BYTES))
  if (handles.length <= most) return
  const why = 'too many for the memory that servers of memif take of us'
  throw new ConfigError('-t', `${handles.length}`, why, `${most} at most`)
}

function closeOpened({ close, handles }: Opened): void {
  close()
  closeHandles(handles)
}

function setupsOf({ link4, link6, vlan }: LoadPlan, opened: Opened, spread: Spread): OwnSetup[] {
  const region = regionFor(opened, spread.count)
  const hub = region.reserve(hubBytes(spread.count), 64)
  const station = new SharedArrayBuffer(4 * STATION_WORDS)
  return equalParts(region, spread.count).map((part, thread) => ({
    ...queueSetup(opened, spread, hub, thread, part),
    region: region.memory,
    addresses: opened.addresses,
    gateway: link4.gateway,
    gateway6: link6.gateway,
    vlan,
    asksForOwn: opened.asksForOwn,
    station,
  }))
}

function regionFor({ handles: [handle] }: Opened, threads: number): Region {
  const part = handle.kind === 'memif' ? Math.floor(MEMIF_BYTES / threads) : PART_BYTES
  const bytes = hubBytes(threads) + PART_ALIGN + threads * part
  return new Region(Math.min(bytes, REGION_MAX_BYTES))
}
