/**
 * A thread that generates load, on the kernel's stack or on ours: builds it all from plain data, says
 * that it is ready, waits for the word to begin, and says at the end what it has counted.
 */
import { randomBytes } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { FramePool, makeDevice, memifRegionBytes, Region } from '@sandstorm/libnmio'
import { Cubic, type IpAddress, ipv4Address, Stack } from '@sandstorm/libtcpip'
import { drive, Generator, Schedule, TcpTransport, tcpConfig } from '@sandstorm/loadgen'
import { inlineMore } from '../inlining.ts'
import { frameShift } from '../server.ts'
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
/** Rings, and frames for SYNs, ACKs and requests. */
const REGION_BYTES = 64 << 20
const FRAMES = 8192
/** Of memif, which brings its rings: others take 32 MiB of a peer's memory, and no more. */
const MEMIF_REGION_BYTES = 24 << 20

const nowUs = (): number => performance.now() * 1000

const setup = workerData as ThreadSetup
const control = new Int32Array(setup.control)
const progress = new Float64Array(setup.progress)
const request = Buffer.from(setup.request, 'latin1')
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

function begin(): void {
  tell({ kind: 'ready' })
  Atomics.wait(control, 0, WAIT)
}

async function runKernel(): Promise<void> {
  const transport = new KernelTransport({ ...setup, request }, nowUs)
  const generator = makeGenerator(transport)
  transport.attach(generator)
  begin()
  await driveKernel(generator, nowUs, watch(generator))
  tell({ kind: 'ended', tally: generator.tally.data(), down: '', problem: transport.problem })
}

function runOwn(own: OwnSetup): void {
  const { connections, address, port } = setup
  const sources = Math.max(1, setup.sources.length)
  const remote = ipv4Address(address)
  const options = { connections, remote, port, request, firstSource: 0, sources }
  const transport = new TcpTransport(options)
  const stack = makeStack(own, transport)
  const generator = makeGenerator(transport)
  transport.attach(stack, generator)
  stack.start()
  begin()
  const down = drive(stack, generator, nowUs, watch(generator))
  tell({ kind: 'ended', tally: generator.tally.data(), down, problem: '' })
  stack.device.close()
}

function makeStack(own: OwnSetup, app: TcpTransport): Stack {
  const { handle } = own
  const isMemif = handle.kind === 'memif'
  const region = new Region(isMemif ? MEMIF_REGION_BYTES + memifRegionBytes(handle) : REGION_BYTES)
  const device = makeDevice(handle, region, region)
  return new Stack({
    device,
    frames: new FramePool(region, FRAMES, frameShift(Math.min(device.mtu, 1500))),
    addresses: own.addresses.map(addressOf),
    gateway: own.gateway === '' ? undefined : ipv4Address(own.gateway),
    app,
    congestion: new Cubic(),
    tcp: tcpConfig(setup.connections),
    ndp: { dadTransmits: own.dadTransmits },
    random: () => randomBytes(4).readInt32LE(),
    nowUs: nowUs(),
  })
}

function addressOf(text: string): IpAddress {
  const [address, prefixLen] = text.split('/')
  return ipv4Address(address, Number(prefixLen))
}

inlineMore()
if (setup.own === undefined) await runKernel()
else runOwn(setup.own)
