/**
 * An instance on our own stack over a TAP: one region, one device, one packet thread. What is told
 * to the thread is one int32 and the device's wake-up, and inquiries; what it tells is when it serves,
 * what it was asked, and how it ended. The main thread opens the device and owns its descriptors, so that they are closed whatever
 * becomes of the packet thread.
 */
import { Worker } from 'node:worker_threads'
import {
  closeTap,
  faultRegionBytes,
  ipv6Problem,
  openTap,
  persistentTaps,
  type TapHandle,
  wakeTap,
} from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import { loadContent } from '../content/load.ts'
import type { ContentShared } from '../content/table.ts'
import type { Inquiry, Reply } from '../control/inquiry.ts'
import { type Ask, Inspector } from '../control/inspector.ts'
import { type Link6, NO_LINK6 } from '../link6.ts'
import { StartError } from '../startError.ts'
import type { Instance, Log } from './instance.ts'
import { ASKED, DRAIN, STOP, type WorkerMessage, type WorkerSetup } from './workerSetup.ts'

/** What the stack wants of the region at least: rings, request buffers, frames. */
const STACK_BYTES = 48 << 20
/** A packet thread that is still draining after this long is told to end at once. */
const STOP_LIMIT_MS = 7000

interface Ending {
  readonly code: number
  readonly message: string
}

/** Opens the TAP, loads the content and starts the thread. Throws errors that are one clear line. */
export async function startTapInstance(config: ServeConfig, log: Log): Promise<Instance> {
  const link6 = usableLink6(config, log)
  // The device first: loading takes time, and a second start should fail at once.
  const tap = openTap({
    name: config.device.name,
    mtu: config.mtu,
    hostAddresses: [`${config.hostAddress}/${config.prefixLen}`, ...link6.hostAddresses],
    serverAddresses: [`${config.address}/${config.prefixLen}`, ...link6.addresses],
    offloads: config.fault === '',
  })
  try {
    const content = await loadContent(config.root, {
      memoryBytes: config.memoryBytes,
      stackBytes: STACK_BYTES + (config.fault === '' ? 0 : faultRegionBytes(tap.mtu)),
      onWarning: line => log.warn(line),
    })
    return await startWorker({ ...config, link6 }, tap, content, log)
  } catch (error) {
    closeTap(tap)
    throw error
  }
}

/**
 * What of the IPv6 link can be had: nothing on a host without IPv6. Of an interface that somebody
 * else made the host's end is changed only if we are asked to.
 */
function usableLink6(config: ServeConfig, log: Log): Link6 {
  const { link6, device } = config
  if (link6.addresses.length === 0) return link6
  const problem = ipv6Problem(device.name)
  if (problem !== '') {
    log.warn(`serving over IPv4 alone: ${problem}`)
    return NO_LINK6
  }
  const isForeign = link6.isDefault && persistentTaps().some(({ name }) => name === device.name)
  return isForeign ? { ...link6, hostAddresses: [] } : link6
}

async function startWorker(
  config: ServeConfig,
  tap: TapHandle,
  content: ContentShared,
  log: Log,
): Promise<Instance> {
  const control = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: makeSetup(config, tap, content, control.buffer as SharedArrayBuffer),
  })
  const done = watch(worker, tap, log)
  await Promise.race([
    ready(worker),
    done.then(({ code, message }) =>
      Promise.reject(code === 2 ? new StartError(message) : new Error(message)),
    ),
  ])
  const tell = (bit: number): void => {
    Atomics.or(control, 0, bit)
    if (tap.wakeFd >= 0) wakeTap(tap)
  }
  const stop = async (): Promise<void> => {
    tell(DRAIN)
    const timer = setTimeout(() => tell(STOP), STOP_LIMIT_MS)
    await done
    clearTimeout(timer)
  }
  const inspector = new Inspector(makeAsk(worker, done, () => tell(ASKED)))
  const url = `http://${config.address}:${config.port}/`
  return { url, device: `tap:${tap.name}`, stop, done, inspector }
}

/** Asks the packet thread; the Inspector sees to it that one inquiry at a time is under way. */
function makeAsk(worker: Worker, done: Promise<Ending>, wake: () => void): Ask {
  let settle: (reply: Reply) => void = () => {}
  let fail: (error: Error) => void = () => {}
  let hasEnded = false
  worker.on('message', (message: WorkerMessage) => {
    if (message.kind === 'reply') settle(message.reply)
  })
  done.then(() => {
    hasEnded = true
    fail(new Error('the server has ended'))
  })
  return (inquiry: Inquiry) =>
    new Promise((resolve, reject) => {
      settle = resolve
      fail = reject
      if (hasEnded) return reject(new Error('the server has ended'))
      worker.postMessage(inquiry)
      wake()
    })
}

function makeSetup(
  config: ServeConfig,
  tap: TapHandle,
  content: ContentShared,
  control: SharedArrayBuffer,
): WorkerSetup {
  const { address, prefixLen, others, gateway, link6 } = config
  const { port, replicas, cc, pacing, pcap, trace, fault } = config
  const transmit = config.transmit === 'auto' ? undefined : config.transmit
  return {
    tap,
    content,
    addresses: [{ address, prefixLen }, ...others],
    gateway,
    addresses6: link6.addresses,
    gateway6: link6.gateway,
    port,
    transmit,
    replicas,
    cc,
    pacing,
    pcap,
    trace,
    fault,
    control,
  }
}

const ready = (worker: Worker): Promise<void> =>
  new Promise(resolve => {
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') resolve()
    })
  })

/** Settles when the thread is gone and the device is closed. */
function watch(worker: Worker, tap: TapHandle, log: Log): Promise<Ending> {
  let ending: Ending = { code: 1, message: 'the packet thread ended unexpectedly' }
  worker.on('message', (message: WorkerMessage) => {
    if (message.kind === 'warning') log.warn(message.line)
    if (message.kind !== 'ended') return
    log.stats({ ...message.stats.inUse, ...message.stats })
    ending = message.down === '' ? { code: 0, message: '' } : { code: 1, message: message.down }
  })
  worker.on('error', (error: NodeJS.ErrnoException) => {
    // What the system refused at the start (the capture file, say) is the user's to mend.
    ending =
      error.syscall === undefined
        ? { code: 1, message: `the packet thread failed: ${error.message}` }
        : { code: 2, message: `cannot serve: ${error.message}` }
  })
  return new Promise(resolve => {
    worker.on('exit', () => {
      closeTap(tap)
      resolve(ending)
    })
  })
}
