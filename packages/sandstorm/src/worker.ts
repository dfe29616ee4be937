/**
 * The packet thread: builds device, stack and server from plain data and runs the loop, and nothing
 * else (paper §2.1: clocked by received packets). It never awaits. The main thread speaks to it
 * through one shared word and the device's wake-up; it answers with one message at the end.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import {
  type Device,
  FaultDevice,
  PcapDevice,
  parseFault,
  type Region,
  TapDevice,
  type TapHandle,
  TraceDevice,
} from '@sandstorm/libnmio'
import { formatFrame, ipv4 } from '@sandstorm/libtcpip'
import { attachContent, type ContentShared } from './content/table.ts'
import { Server, type TransmitKind } from './server.ts'
import type { ServerStats } from './stats.ts'

/** What a worker is started with. */
export interface WorkerSetup {
  tap: TapHandle
  content: ContentShared
  address: string
  prefixLen: number
  port: number
  transmit: TransmitKind | undefined
  replicas: number
  pcap: string | undefined
  trace: boolean
  fault: string | undefined
  /** One int32: RUN, DRAIN or STOP, written by the main thread. */
  control: SharedArrayBuffer
}

export const RUN = 0
export const DRAIN = 1
export const STOP = 2

/** What a worker says: first that it serves, at last how it ended. */
export type WorkerMessage =
  | { kind: 'ready' }
  | { kind: 'ended'; down: string; drained: boolean; stats: ServerStats }

/** After this long a drain gives up on clients that do not answer. */
const DRAIN_LIMIT_US = 5_000_000
/** Without frames the loop looks up at least this often while it drains. */
const DRAIN_STEP_US = 50_000

const nowUs = (): number => performance.now() * 1000
const epochUs = (): number => (performance.timeOrigin + performance.now()) * 1000

/** Captures and traces see what is on the wire; faults happen between it and the stack. */
function wrap(tap: Device, region: Region, setup: WorkerSetup): Device {
  let device = tap
  const content = region
  if (setup.pcap !== undefined) {
    device = new PcapDevice(device, { path: setup.pcap, clock: epochUs, content })
  }
  if (setup.trace) {
    const write = (line: string): void => void writeSync(1, `${line}\n`)
    device = new TraceDevice(device, { format: formatFrame, write, clock: epochUs })
  }
  if (setup.fault !== undefined) {
    device = new FaultDevice(device, parseFault(setup.fault), { clock: nowUs, content })
  }
  return device
}

function build(setup: WorkerSetup): Server {
  const content = attachContent(setup.content)
  const tap = new TapDevice(setup.tap, content.region, content.region)
  return new Server({
    device: wrap(tap, content.region, setup),
    content,
    address: ipv4.parse(setup.address),
    prefixLen: setup.prefixLen,
    port: setup.port,
    transmit: setup.transmit,
    replicas: setup.replicas,
    random: () => randomBytes(4).readInt32LE(),
    nowUs: nowUs(),
  })
}

function run(server: Server, control: Int32Array): boolean {
  const { device } = server
  let drainBefore = Number.POSITIVE_INFINITY
  while (device.down === '') {
    const now = nowUs()
    const count = server.poll(now, Math.floor(Date.now() / 1000))
    if (control[0] === RUN) {
      if (count === 0) device.wait(server.idleUs())
      continue
    }
    if (control[0] === STOP) return false
    if (drainBefore === Number.POSITIVE_INFINITY) {
      server.drain()
      drainBefore = now + DRAIN_LIMIT_US
    } else if (server.isDrained || now > drainBefore) {
      return server.isDrained
    }
    if (count === 0) device.wait(Math.min(DRAIN_STEP_US, Math.max(0, server.idleUs())))
  }
  return false
}

const setup = workerData as WorkerSetup
const server = build(setup)
server.stack.arp.announce(server.stack.tcp.clockMs)
parentPort?.postMessage({ kind: 'ready' } satisfies WorkerMessage)
const drained = run(server, new Int32Array(setup.control))
server.device.close()
const ended: WorkerMessage = {
  kind: 'ended',
  down: server.device.down,
  drained,
  stats: server.stats(),
}
parentPort?.postMessage(ended)
