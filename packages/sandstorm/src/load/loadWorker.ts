/**
 * A thread that generates load, on the kernel's stack or on ours: builds it all from plain data,
 * says that it is ready, waits for the word to begin, and says at the end what it has counted.
 */
import { randomBytes } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { FIRST_WORKER, FramePool, Region, VlanDevice } from '@sandstorm/libnmio'
import { Cubic, ending, Stack, setFirstHop } from '@sandstorm/libtcpip'
import {
  attend,
  drive,
  findWay,
  Generator,
  Schedule,
  TcpTransport,
  tcpConfig,
} from '@sandstorm/loadgen'
import { inlineMore } from '../inlining.ts'
import {
  addressText,
  askingForOwn,
  parseAddress,
  stackAddresses,
} from '../instance/ownAddresses.ts'
import { makeQueue } from '../instance/queue.ts'
import { frameShift, framesFor } from '../server.ts'
import { driveKernel, KernelTransport } from './kernelTransport.ts'
import {
  ANSWERS,
  ERRORS,
  type OwnSetup,
  STOP,
  type ThreadMessage,
  type ThreadSetup,
  WAIT,
} from './threadSetup.ts'

/** In the end of a run of given duration, what is under way may take so much longer. */
const GRACE_US = 1_000_000
const PROGRESS_US = 100_000
/** For SYNs, ACKs and requests. */
const FRAMES_MAX = 8192

const nowUs = (): number => performance.now() * 1000

const setup = workerData as ThreadSetup
const control = new Int32Array(setup.control)
const progress = new Float64Array(setup.progress)
const request = Buffer.from(setup.request, 'latin1')
/** Why connections come to nothing, as far as is known; '': nothing is. */
let problem = ''
const tell = (message: ThreadMessage): void => parentPort?.postMessage(message)

function makeGenerator(transport: TcpTransport | KernelTransport): Generator {
  const { connections, keepAlive, timeoutUs, requests: count, durationUs, rate, offsetUs } = setup
  const schedule = new Schedule({ count, durationUs, rate, offsetUs })
  // Without an end by time each request has its time-out.
  const graceUs = durationUs > 0 ? GRACE_US : Number.POSITIVE_INFINITY
  return new Generator({ connections, keepAlive, timeoutUs, graceUs, schedule }, transport)
}

/** Asked between batches; tells how far it is, now and then. */
function watch(generator: Generator): () => boolean {
  let toldUs = 0
  return () => {
    if (generator.nowUs - toldUs > PROGRESS_US) {
      toldUs = generator.nowUs
      progress[ANSWERS] = generator.tally.answers
      progress[ERRORS] = generator.tally.errorCount
    }
    return Atomics.load(control, 0) === STOP
  }
}

async function runKernel(): Promise<void> {
  const transport = new KernelTransport({ ...setup, request }, nowUs)
  const generator = makeGenerator(transport)
  transport.attach(generator)
  tell({ kind: 'ready' })
  Atomics.wait(control, 0, WAIT)
  await driveKernel(generator, nowUs, watch(generator))
  const tally = generator.tally.data()
  tell({ kind: 'ended', tally, down: '', problem: transport.problem, framesLost: 0 })
}

function runOwn(own: OwnSetup): void {
  const { connections, address, port, firstNumber, timeoutUs } = setup
  const sources = Math.max(1, setup.sources.length)
  const remote = parseAddress(address)
  const options = { connections, remote, port, request, firstSource: 0, sources, firstNumber }
  const station = new Int32Array(own.station)
  const transport = new TcpTransport(options)
  const stack = makeStack(own, transport)
  const generator = makeGenerator(transport)
  transport.attach(stack, generator)
  const isStopped = watch(generator)
  stack.start()
  // Over IPv6 there is no way before our addresses turned out to be ours alone.
  const hasToFind = own.worker === FIRST_WORKER && (own.spread.count > 1 || remote.version === 6)
  const isLost = hasToFind && !findWay(stack, remote, station, nowUs, nowUs() + timeoutUs)
  tell({ kind: 'ready' })
  attend(stack, nowUs, () => Atomics.load(control, 0) !== WAIT)
  if (own.sharesAddresses) setFirstHop(stack.tcp, station)
  const down = drive(stack, generator, nowUs, isStopped)
  const framesLost = stack.device.stats.rxDropped
  const { lastEnding } = transport
  if (isLost) problem ||= `nobody answers on the link for ${address}, or the router to it`
  if (lastEnding !== ending.FINISHED) problem ||= ending.ENDING_NAMES[lastEnding]
  tell({ kind: 'ended', tally: generator.tally.data(), down, problem, framesLost })
  attend(stack, nowUs, isStopped)
  stack.device.close()
}

function makeStack(own: OwnSetup, app: TcpTransport): Stack {
  const queue = makeQueue(own, new Region(own.region))
  const device = own.vlan === 0 ? queue : new VlanDevice(queue, own.vlan)
  const shift = frameShift(Math.min(device.mtu, 1500))
  return new Stack({
    device,
    frames: new FramePool(device.region, framesFor(device, shift, FRAMES_MAX), shift),
    addresses: stackAddresses(own.addresses, own.spread.count, device.mac),
    sharesAddresses: own.sharesAddresses,
    flows: own,
    gateway: own.gateway === '' ? undefined : parseAddress(own.gateway),
    gateway6: own.gateway6 === '' ? undefined : parseAddress(own.gateway6),
    app,
    congestion: new Cubic(),
    tcp: tcpConfig(setup.connections),
    ...askingForOwn(own.asksForOwn),
    onConflict: taken => {
      problem = `another host on the link has, or wants, our address ${addressText(taken)}`
    },
    random: () => randomBytes(4).readInt32LE(),
    nowUs: nowUs(),
  })
}

inlineMore()
if (setup.own === undefined) await runKernel()
else runOwn(setup.own)
