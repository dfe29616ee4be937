/**
 * The packet thread: builds device, stack and server from plain data and runs the loop, and nothing
 * else (paper §2.1: clocked by received packets). It never awaits. The main thread speaks to it
 * through one shared word and the device's wake-up; it says when it serves, what it is asked
 * between batches, and how it ended.
 */
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import {
  BATCH_MAX,
  type Device,
  FaultDevice,
  PcapDevice,
  parseFault,
  pinThread,
  type Region,
  RxBatchDevice,
  TraceDevice,
  TxDelayDevice,
  VlanDevice,
} from '@sandstorm/libnmio'
import { formatFrame, type IpAddress, TCP_DEFAULTS, type TcpConfig } from '@sandstorm/libtcpip'
import { Histogram } from '../admin/histogram.ts'
import { attachContent } from '../content/table.ts'
import { reply } from '../control/inquiry.ts'
import { OriginPaths } from '../http/originPaths.ts'
import { inlineMore } from '../inlining.ts'
import { AccessRing } from '../log/accessRing.ts'
import { RequestRate } from '../mount/requestRate.ts'
import { Server } from '../server.ts'
import { feedPort } from './feedOrder.ts'
import { addressText, askingForOwn, parseAddress, stackAddresses } from './ownAddresses.ts'
import { makeQueue } from './queue.ts'
import { Spinner } from './spinner.ts'
import { traceLines } from './traceLines.ts'
import {
  DRAIN,
  MAIL,
  type Mail,
  RUN,
  STOP,
  type WorkerMessage,
  type WorkerSetup,
} from './workerSetup.ts'

/** Without frames the loop looks up at least this often while it drains. */
const DRAIN_STEP_US = 50_000

const nowUs = (): number => performance.now() * 1000
const epochUs = (): number => (performance.timeOrigin + performance.now()) * 1000

/**
 * Captures and traces see what is on the wire, tags included; faults happen between it and the
 * stack. What changes batches stands before the stack: a frame is on the wire when it is sent, not
 * when it begins to wait.
 */
function wrap(inner: Device, region: Region, setup: WorkerSetup): Device {
  let device = inner
  const content = region
  if (setup.pcap !== '') {
    const { pcap: path } = setup
    const onError = (why: string): void =>
      tell({ kind: 'warning', line: `the capture ${path} ends here: ${why}` })
    device = new PcapDevice(device, { path, clock: epochUs, content, onError })
  }
  if (setup.trace) {
    const write = traceLines(text => writeSync(1, text))
    device = new TraceDevice(device, { format: formatFrame, write, clock: epochUs })
  }
  if (setup.vlan !== 0) device = new VlanDevice(device, setup.vlan)
  if (setup.fault !== '') {
    device = new FaultDevice(device, parseFault(setup.fault), { clock: nowUs, content })
  }
  if (setup.rxBatch < BATCH_MAX) device = new RxBatchDevice(device, setup.rxBatch)
  if (setup.txDelayUs > 0) {
    device = new TxDelayDevice(device, { delayUs: setup.txDelayUs, clock: nowUs })
  }
  return device
}

function build(setup: WorkerSetup): Server {
  if (setup.cpu >= 0) pinThread(setup.cpu)
  const content = attachContent(setup.content)
  const queue = makeQueue(setup, content.region)
  return new Server({
    device: wrap(queue, content.region, setup),
    content,
    addresses: stackAddresses(setup.addresses, setup.spread.count, queue.mac),
    sharesAddresses: setup.sharesAddresses,
    addressStates: setup.addressStates,
    gateway: setup.gateway === '' ? undefined : parseAddress(setup.gateway),
    gateway6: setup.gateway6 === '' ? undefined : parseAddress(setup.gateway6),
    ...askingForOwn(setup.asksForOwn, setup.orphans && setup.addressStates),
    onConflict: warnOnce(),
    port: setup.port,
    transmit: setup.transmit,
    replicas: Math.max(1, setup.replicas),
    cc: setup.cc,
    tcp: tcpOf(setup),
    tcbs: setup.tcbs,
    limits: setup.limits,
    accessLog,
    durations: new Histogram(setup.durations),
    // Feeds are the main thread's work: it alone reads files.
    feedPort: feedPort(order => tell({ kind: 'feed', order })),
    rate: setup.rate && new RequestRate(setup.rate.shared, setup.rate.key, setup.rate.perSecond),
    originPaths: setup.originPaths && new OriginPaths(setup.originPaths),
    random: () => randomBytes(4).readInt32LE(),
    nowUs: nowUs(),
  })
}

/** A connection needs one flight at most. */
const tcpOf = ({ pacing, maxConnections, maxPerSource }: WorkerSetup): Partial<TcpConfig> => ({
  pacing,
  maxConnections,
  maxFlights: Math.min(maxConnections, TCP_DEFAULTS.maxFlights),
  maxPerSource,
})

/**
 * Says of each address at most once that somebody else has it: whoever forges that may do so often.
 */
function warnOnce(): (address: IpAddress) => void {
  const told = new Set<IpAddress>()
  return address => {
    if (told.has(address)) return
    told.add(address)
    const line = `another host on the link has, or wants, our address ${addressText(address)}`
    tell({ kind: 'warning', line })
  }
}

/** Polls until told to stop; returns why the device went down, '' if it did not. */
function run(server: Server, control: Int32Array, spinUs: number): string {
  const { device } = server
  const spinner = new Spinner(spinUs)
  for (;;) {
    // Before the batch: what it lets go out goes out with it.
    if (control[0] !== RUN) {
      if (control[0] & MAIL) takeMail(server, control)
      if (control[0] & (DRAIN | STOP)) break
    }
    const now = nowUs()
    const count = poll(server, now)
    if (device.down !== '') return device.down
    if (count > 0) spinner.onFrames(now)
    else if (spinner.shouldSleep(now)) device.wait(server.idleUs())
  }
  if ((control[0] & STOP) === 0) drain(server, control)
  return device.down
}

/** What was sent: few messages, and each is bounded work; then packets again. */
function takeMail(server: Server, control: Int32Array): void {
  Atomics.and(control, 0, ~MAIL)
  if (parentPort === null) return
  for (;;) {
    const received = receiveMessageOnPort(parentPort)
    if (received === undefined) return
    const mail = received.message as Mail
    take(server, mail)
  }
}

function take(server: Server, mail: Mail): void {
  switch (mail.kind) {
    case 'inquiry':
      tell({ kind: 'reply', reply: reply(server, mail.inquiry) })
      break
    case 'content':
      server.content.take(mail.mail)
      break
    case 'piece':
      server.mount.onPiece(mail.slot, mail.serial, mail.piece)
      break
    case 'fed':
      server.mount.onFed(mail.slot, mail.serial, mail.answered)
      break
    case 'bodyTaken':
      server.mount.onBodyTaken(mail.slot, mail.serial, mail.bytes)
      break
    case 'feedFailed':
      server.mount.onFeedFailed(mail.slot, mail.serial)
  }
}

/** One batch. */
function poll(server: Server, now: number): number {
  const epochMs = Date.now()
  if (accessLog !== undefined) accessLog.timeMs = epochMs
  return server.poll(now, Math.floor(epochMs / 1000))
}

/** Goes on until every connection has ended, or for as long as it may. */
function drain(server: Server, control: Int32Array): void {
  const { device } = server
  const endUs = nowUs() + setup.drainTimeoutMs * 1000
  server.drain()
  while ((control[0] & STOP) === 0 && device.down === '') {
    if (control[0] & MAIL) takeMail(server, control)
    const count = poll(server, nowUs())
    if (server.isDrained) return
    if (nowUs() > endUs) break
    const idle = server.idleUs()
    if (count === 0) device.wait(idle < 0 ? DRAIN_STEP_US : Math.min(idle, DRAIN_STEP_US))
  }
  server.end()
  poll(server, nowUs())
}

inlineMore()
const setup = workerData as WorkerSetup
const accessLog = setup.accessRing === undefined ? undefined : new AccessRing(setup.accessRing)
const tell = (message: WorkerMessage): void => parentPort?.postMessage(message)
const server = build(setup)
server.stack.start()
if (setup.orphans !== undefined) server.stack.inherit(setup.orphans)
tell({ kind: 'ready' })
const down = run(server, new Int32Array(setup.control), setup.spinUs)
tell({ kind: 'ended', down, stats: server.stats() })
server.device.close()
