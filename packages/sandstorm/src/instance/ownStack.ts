/**
 * An instance on our own stack: one region, one device, one packet thread. What is told
 * to the thread is one int32 and the device's wake-up, and inquiries; what it tells is when it serves,
 * what it was asked, and how it ended. The main thread opens the device and owns its descriptors, so that they are closed whatever
 * becomes of the packet thread.
 */
import { Worker } from 'node:worker_threads'
import {
  closeHandle,
  type DeviceHandle,
  deviceName,
  faultRegionBytes,
  wakeDevice,
} from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import { loadContent } from '../content/load.ts'
import type { ContentShared } from '../content/table.ts'
import type { Inquiry, Reply } from '../control/inquiry.ts'
import { type Ask, Inspector } from '../control/inspector.ts'
import { StartError } from '../startError.ts'
import type { Instance, Log } from './instance.ts'
import { type Opened, openDevice } from './openDevice.ts'
import { ASKED, DRAIN, STOP, type WorkerMessage, type WorkerSetup } from './workerSetup.ts'

/** What the stack wants of the region at least: rings, request buffers, frames. */
const STACK_BYTES = 48 << 20
/** A packet thread that is still draining after this long is told to end at once. */
const STOP_LIMIT_MS = 7000

interface Ending {
  readonly code: number
  readonly message: string
}

/** Opens the device, loads the content and starts the thread. Throws errors that are one clear line. */
export async function startOwnStack(config: ServeConfig, log: Log): Promise<Instance> {
  // The device first: loading takes time, and a second start should fail at once.
  const opened = openDevice(config, log)
  const { handle } = opened
  try {
    const content = await loadContent(config.root, {
      memoryBytes: config.memoryBytes,
      stackBytes: STACK_BYTES + (config.fault === '' ? 0 : faultRegionBytes(handle.mtu)),
      onWarning: line => log.warn(line),
    })
    return await startWorker(config, opened, content, log)
  } catch (error) {
    closeHandle(handle)
    throw error
  }
}

async function startWorker(
  config: ServeConfig,
  opened: Opened,
  content: ContentShared,
  log: Log,
): Promise<Instance> {
  const { handle } = opened
  const control = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: makeSetup(config, opened, content, control.buffer as SharedArrayBuffer),
  })
  const done = watch(worker, handle, log)
  await Promise.race([
    ready(worker),
    done.then(({ code, message }) =>
      Promise.reject(code === 2 ? new StartError(message) : new Error(message)),
    ),
  ])
  const tell = (bit: number): void => {
    Atomics.or(control, 0, bit)
    wakeDevice(handle)
  }
  const stop = async (): Promise<void> => {
    tell(DRAIN)
    const timer = setTimeout(() => tell(STOP), STOP_LIMIT_MS)
    await done
    clearTimeout(timer)
  }
  const inspector = new Inspector(makeAsk(worker, done, () => tell(ASKED)))
  const [first] = opened.addresses[0].split('/')
  const url = `http://${first.includes(':') ? `[${first}]` : first}:${config.port}/`
  return { url, device: deviceName(handle), stop, done, inspector }
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
  { handle, addresses, sharesAddresses, dadTransmits }: Opened,
  content: ContentShared,
  control: SharedArrayBuffer,
): WorkerSetup {
  const { gateway, port, replicas, cc, pacing, pcap, trace, fault } = config
  return {
    handle,
    content,
    addresses,
    sharesAddresses,
    dadTransmits,
    gateway,
    gateway6: config.link6.gateway,
    port,
    transmit: config.transmit === 'auto' ? undefined : config.transmit,
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
function watch(worker: Worker, handle: DeviceHandle, log: Log): Promise<Ending> {
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
      closeHandle(handle)
      resolve(ending)
    })
  })
}
