/**
 * Runs a plan: opens the device, starts the threads, lets them begin together, and adds up what
 * they have counted. The main thread waits, and shows how far it is.
 */
import { Tally } from '@sandstorm/loadgen'
import { LoadThread, type ThreadEnding } from './loadThread.ts'
import { OwnDevice } from './ownDevice.ts'
import type { LoadPlan } from './plan.ts'
import type { ThreadSetup } from './threadSetup.ts'

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
  /** Frames of the server's that this machine has lost; undefined: nobody counts them. */
  readonly framesLost: number | undefined
}

/** A run that has begun. */
export interface LoadRun {
  readonly done: Promise<LoadResult>
  /** Ends it soon; `done` settles with what was counted. */
  stop(): void
  progress(): { readonly answers: number; readonly errors: number }
}

/**
 * Starts a run of `plan` against `address`, its target's. Throws errors that are one clear line.
 */
export async function startLoad(
  plan: LoadPlan,
  address: string,
  warn: (line: string) => void,
): Promise<LoadRun> {
  const device = plan.device.kind === 'kernel' ? undefined : new OwnDevice(plan, warn)
  const threads = sharesOf(plan, address).map(
    (share, k) => new LoadThread({ ...share, own: device?.setups[k] }),
  )
  try {
    await Promise.all(threads.map(({ ready }) => ready))
    return begin(threads, device)
  } catch (error) {
    await endAll(threads)
    device?.close()
    throw error
  }
}

/** Nobody uses the device any more. */
async function endAll(threads: readonly LoadThread[]): Promise<void> {
  for (const thread of threads) thread.stop()
  await Promise.all(threads.map(({ gone }) => gone))
}

function begin(threads: readonly LoadThread[], device: OwnDevice | undefined): LoadRun {
  const startMs = performance.now()
  const before = process.cpuUsage()
  for (const thread of threads) thread.begin()
  const finish = async (): Promise<LoadResult> => {
    const endings = await Promise.all(threads.map(({ done }) => done))
    const { user, system } = process.cpuUsage(before)
    const wall = (performance.now() - startMs) / 1000
    const { framesLost, ...counted } = addUp(endings)
    return {
      ...counted,
      cpu: { user: user / 1e6, system: system / 1e6, wall },
      device: device?.name ?? 'kernel',
      framesLost: device?.framesLost(framesLost),
    }
  }
  return {
    // Others do not outlast one that died.
    done: finish().finally(() => endAll(threads).then(() => device?.close())),
    stop: () => {
      for (const thread of threads) thread.stop()
    },
    progress: () => ({
      answers: sum(threads.map(thread => thread.answers)),
      errors: sum(threads.map(thread => thread.errors)),
    }),
  }
}

const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)

function addUp(endings: readonly ThreadEnding[]): Omit<ThreadEnding, 'kind' | 'tally'> & {
  readonly tally: Tally
} {
  const tally = new Tally()
  for (const ending of endings) tally.add(ending.tally)
  const last = (reasons: readonly string[]): string => reasons.findLast(why => why !== '') ?? ''
  return {
    tally,
    down: last(endings.map(({ down }) => down)),
    problem: last(endings.map(({ problem }) => problem)),
    framesLost: sum(endings.map(({ framesLost }) => framesLost)),
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
