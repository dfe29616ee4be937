/**
 * Runs a plan: opens the device, starts the threads, lets them begin together, and adds up what they have
 * counted. The main thread waits, and shows how far it is.
 */
import { closeHandles, deviceName } from '@sandstorm/libnmio'
import { Tally } from '@sandstorm/loadgen'
import { UserError } from '../cli/errors.ts'
import { type LinkConfig, type Opened, openDevice } from '../instance/openDevice.ts'
import { NO_LINK6 } from '../link6.ts'
import { LoadThread } from './loadThread.ts'
import type { LoadPlan } from './plan.ts'
import type { OwnSetup, ThreadSetup } from './threadSetup.ts'

/** What came of a run. */
export interface LoadResult {
  readonly tally: Tally
  /** Seconds of processor time, of all threads, and of the wall clock meanwhile. */
  readonly cpu: { readonly user: number; readonly system: number; readonly wall: number }
  /** For people: `tap:sand0`. */
  readonly device: string
  /** Why the device went down, and why connections came to nothing; '': neither. */
  readonly down: string
  readonly problem: string
}

/** A run that has begun. */
export interface LoadRun {
  readonly done: Promise<LoadResult>
  /** Ends it soon; `done` settles with what was counted. */
  stop(): void
  progress(): { readonly answers: number; readonly errors: number }
}

/** Starts a run of `plan` against `address`, its target's. Throws errors that are one clear line. */
export async function startLoad(
  plan: LoadPlan,
  address: string,
  warn: (line: string) => void,
): Promise<LoadRun> {
  const opened = plan.device.kind === 'kernel' ? undefined : open(plan, warn)
  const own = opened && ownSetup(plan, opened)
  const threads = sharesOf(plan, address).map(share => new LoadThread({ ...share, own }))
  try {
    await Promise.all(threads.map(({ ready }) => ready))
    return begin(threads, opened)
  } catch (error) {
    await endAll(threads)
    close(opened)
    throw error
  }
}

/** Nobody uses the device any more. */
async function endAll(threads: readonly LoadThread[]): Promise<void> {
  for (const thread of threads) thread.stop()
  await Promise.allSettled(threads.map(({ done }) => done))
}

function begin(threads: readonly LoadThread[], opened: Opened | undefined): LoadRun {
  const startMs = performance.now()
  const before = process.cpuUsage()
  for (const thread of threads) thread.begin()
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)
  const finish = async (): Promise<LoadResult> => {
    const tally = new Tally()
    let [down, problem] = ['', '']
    const endings = await Promise.all(threads.map(({ done }) => done))
    for (const ending of endings) {
      tally.add(ending.tally)
      down = ending.down || down
      problem = ending.problem || problem
    }
    const { user, system } = process.cpuUsage(before)
    const wall = (performance.now() - startMs) / 1000
    const device = opened === undefined ? 'kernel' : deviceName(opened.handles[0])
    return { tally, cpu: { user: user / 1e6, system: system / 1e6, wall }, device, down, problem }
  }
  return {
    // Others do not outlast one that died.
    done: finish().finally(() => endAll(threads).then(() => close(opened))),
    stop: () => {
      for (const thread of threads) thread.stop()
    },
    progress: () => ({
      answers: sum(threads.map(thread => thread.answers)),
      errors: sum(threads.map(thread => thread.errors)),
    }),
  }
}

/** The plan's work in equal parts. */
function sharesOf(
  plan: LoadPlan,
  address: string,
): Omit<ThreadSetup, 'own' | 'control' | 'progress'>[] {
  const { threads, connections, requests, rate } = plan
  const partOf = (all: number, k: number): number =>
    Math.floor((all * (k + 1)) / threads) - Math.floor((all * k) / threads)
  return Array.from({ length: threads }, (_, k) => ({
    address,
    port: plan.target.port,
    request: plan.request,
    connections: partOf(connections, k),
    requests: partOf(requests, k),
    durationUs: plan.durationUs,
    rate: rate / threads,
    offsetUs: rate === 0 ? 0 : (k * 1e6) / rate,
    keepAlive: plan.keepAlive,
    timeoutUs: plan.timeoutUs,
    firstNumber: Math.floor((connections * k) / threads),
    sources: plan.sources,
  }))
}

const ONE_QUEUE = { count: 1, key: 0 }

function open(plan: LoadPlan, warn: (line: string) => void): Opened {
  const config: LinkConfig = {
    ...plan.link4,
    devices: [plan.device],
    link6: NO_LINK6,
    port: plan.target.port,
    mtu: plan.mtu,
    busyPollUs: 0,
    bridge: '',
    memif: { role: 'client', id: 0 },
    fault: '',
  }
  const opened = openDevice(config, plan.device, ONE_QUEUE, { warn })
  if (!opened.sharesAddresses) return opened
  close(opened)
  const why = 'the interface has that address, and answers to it are the kernel’s'
  throw new UserError('--address', why, 'Give one on its subnet that nobody has')
}

const ownSetup = ({ link4 }: LoadPlan, opened: Opened): OwnSetup => ({
  handle: opened.handles[0],
  addresses: opened.addresses,
  gateway: link4.gateway,
  dadTransmits: opened.dadTransmits,
})

function close(opened: Opened | undefined): void {
  if (opened === undefined) return
  opened.close()
  closeHandles(opened.handles)
}
