/**
 * An instance on our own stack: the content, loaded once, and what serves it on each device
 * (deviceServer.ts). The main thread opens devices and owns their descriptors, so that they are
 * closed whatever becomes of a packet thread.
 *
 *   region: content │ hub of each device │ part of worker 0 │ part of worker 1 │ …
 */
import { randomInt } from 'node:crypto'
import { availableParallelism } from 'node:os'
import {
  closeHandles,
  faultRegionBytes,
  hubBytes,
  memifRegionBytes,
  Region,
  type Spread,
} from '@sandstorm/libnmio'
import { Histogram } from '../admin/histogram.ts'
import type { Metrics } from '../admin/metrics.ts'
import type { ServeConfig } from '../config.ts'
import { ContentFollower } from '../content/follow.ts'
import { isMuchToRead, LiveContent } from '../content/live.ts'
import { type Ask, Inspector } from '../control/inspector.ts'
import { Fronts, originPathsOf, storedBytesMax } from '../front/fronts.ts'
import { inlineLess } from '../inlining.ts'
import { RequestRate } from '../mount/requestRate.ts'
import { FRAMES_MIN, frameShift } from '../server.ts'
import { StartError } from '../startError.ts'
import { type ServerStats, sumOfStats } from '../stats.ts'
import { type CommonSetup, DeviceServer, type Place, type Sources } from './deviceServer.ts'
import type { Endpoint, Instance, Log } from './instance.ts'
import { type Opened, openDevice } from './openDevice.ts'
import { equalParts, PART_ALIGN } from './queue.ts'

/** Without --spin: a few times what a client on the same machine takes for its next request. */
const SPIN_US = 50
/** What a stack wants of the region at least: rings, request buffers, frames of 2 KB. */
const STACK_BYTES = 48 << 20

/** An instance that a test can look into. */
export interface OwnStack extends Instance {
  readonly servers: readonly DeviceServer[]
}

/**
 * Opens the devices, loads the content and starts the threads. Throws errors that are one clear
 * line.
 */
export async function startOwnStack(
  config: ServeConfig,
  log: Log,
  rings: readonly SharedArrayBuffer[],
): Promise<OwnStack> {
  const spread: Spread = { count: config.workers, key: randomInt(2 ** 31) }
  // The devices first: loading takes time, and a second start should fail at once.
  const opened = openAll(config, spread, log)
  let fronts: Fronts | undefined
  let content: LiveContent
  let servers: DeviceServer[] = []
  try {
    fronts = await Fronts.open(config.sites)
    content = await inlineLess(() =>
      LiveContent.open(config.sites, {
        memoryBytes: config.memoryBytes,
        stackBytes: stackBytes(config, opened),
        onWarning: line => log.warn(line),
        onProgress: log.onProgress,
        isEarly: isMuchToRead,
        hitBytes: storedBytesMax(config.sites),
        stallTimeoutMs: config.limits.stallTimeoutMs,
      }),
    )
    fronts?.publish(content.hits)
    servers = startAll(config, spread, opened, { content, fronts }, log, rings)
  } catch (error) {
    closeAll(opened)
    await fronts?.close()
    throw error
  }
  await allReady(servers)
  return makeInstance(config, opened, servers, { content, fronts }, log)
}

function openAll(config: ServeConfig, spread: Spread, log: Log): Opened[] {
  const opened: Opened[] = []
  try {
    for (const device of config.devices) opened.push(openDevice(config, device, spread, log))
    return opened
  } catch (error) {
    closeAll(opened)
    throw error
  }
}

function closeAll(opened: readonly Opened[]): void {
  for (const { close, handles } of opened) {
    close()
    closeHandles(handles)
  }
}

function stackBytes(config: ServeConfig, opened: readonly Opened[]): number {
  const { fault, workers } = config
  let bytes = PART_ALIGN
  for (const {
    handles: [handle],
  } of opened) {
    const faults = fault === '' ? 0 : faultRegionBytes(handle.mtu)
    // A peer's memory, or what we share with it.
    const shared = handle.kind === 'memif' ? memifRegionBytes(handle) : 0
    const larger = FRAMES_MIN * ((1 << frameShift(handle.mtu)) - 2048)
    bytes += hubBytes(workers) + workers * (STACK_BYTES + larger + faults + shared)
  }
  return bytes
}

function startAll(
  config: ServeConfig,
  spread: Spread,
  opened: readonly Opened[],
  sources: Sources,
  log: Log,
  rings: readonly SharedArrayBuffer[],
): DeviceServer[] {
  const { content } = sources
  const region = new Region(content.region)
  region.reserve(content.contentBytes)
  const hubs = opened.map(() => region.reserve(hubBytes(spread.count), 64))
  const places = placeWorkers(region, opened.length * spread.count, config.cpus, rings)
  const rate = rateOf(config)
  return opened.map((one, i) => {
    const common = { ...commonSetup(config, one, spread, hubs[i]), rate }
    const own = places.slice(i * spread.count, (i + 1) * spread.count)
    return new DeviceServer(one, sources, common, own, log)
  })
}

/** One table for all threads. */
function rateOf({ limits }: ServeConfig): CommonSetup['rate'] {
  const { requestsPerSecond: perSecond } = limits
  if (perSecond === 0) return undefined
  return { shared: RequestRate.allocate(), key: randomInt(2 ** 31), perSecond }
}

function placeWorkers(
  region: Region,
  count: number,
  cpus: readonly number[],
  rings: readonly SharedArrayBuffer[],
): Place[] {
  return equalParts(region, count).map((part, i) => ({
    ...part,
    cpu: cpus.length === 0 ? -1 : cpus[i % cpus.length],
    accessRing: rings[i],
    durations: Histogram.allocate(),
  }))
}

function commonSetup(
  config: ServeConfig,
  { addresses, asksForOwn }: Opened,
  spread: Spread,
  hub: number,
): Omit<CommonSetup, 'rate'> {
  const { gateway, port, replicas, cc, pacing, vlan, pcap, trace, fault, limits } = config
  const threads = config.devices.length * spread.count
  // A thread that looks must not keep anybody from the work that it waits for.
  const spinDefault = threads < availableParallelism() ? SPIN_US : 0
  return {
    spinUs: config.spinUs ?? spinDefault,
    rxBatch: config.rxBatch,
    txDelayUs: config.txDelayUs,
    isAlone: threads === 1,
    addresses,
    asksForOwn,
    spread,
    hub,
    gateway,
    gateway6: config.link6.gateway,
    port,
    transmit: config.transmit === 'auto' ? undefined : config.transmit,
    replicas,
    cc,
    pacing,
    vlan,
    pcap,
    trace,
    fault,
    limits: { ...limits, http: limits },
    maxConnections: config.connections,
    maxPerSource: limits.connectionsPerAddress,
    drainTimeoutMs: limits.drainTimeoutMs,
    originPaths: originPathsOf(config.sites),
  }
}

/** Settles when everything serves; throws, with everything ended, if something does not. */
async function allReady(servers: readonly DeviceServer[]): Promise<void> {
  const failure = Promise.race(servers.map(({ done }) => done))
  const ready = Promise.all(servers.map(({ ready }) => ready))
  const first = await Promise.race([ready.then(() => undefined), failure])
  if (first === undefined) return
  await Promise.all(servers.map(server => server.stop()))
  throw first.code === 2 ? new StartError(first.message) : new Error(first.message)
}

function makeInstance(
  config: ServeConfig,
  opened: readonly Opened[],
  servers: readonly DeviceServer[],
  { content, fronts }: Sources,
  log: Log,
): OwnStack {
  const endpoints = servers.map(({ device }, i) => ({ device, url: urlOf(config, opened[i]) }))
  // A thread that is replaced is asked by its place.
  const asks = servers.flatMap(({ threads }) =>
    threads.map(
      (_, worker): Ask =>
        inquiry =>
          threads[worker].ask(inquiry),
    ),
  )
  const follower = new ContentFollower(content, {
    sites: config.sites,
    onWarning: line => log.warn(line),
  })
  const stop = async (): Promise<void> => {
    await follower.close()
    await Promise.all(servers.map(server => server.stop()))
  }
  const done = finish(servers, log).finally(async () => {
    await follower.close()
    await fronts?.close()
    await content.close()
  })
  const inspector = new Inspector(asks)
  const durations = servers.flatMap(({ places }) =>
    places.map(place => new Histogram(place.durations)),
  )
  const metrics = async (): Promise<Metrics> => ({
    counters: {
      ...(await inspector.stats()),
      content: content.stats(),
      paging: content.pagingStats,
      ...fronts?.stats,
    },
    durations: { answer: Histogram.merge(durations) },
  })
  const reload: Instance['reload'] = ({ sites }) => follower.reload(sites)
  const common = { endpoints, stop, done, inspector, servers, metrics, reload }
  return fronts === undefined ? common : { ...common, store: fronts }
}

function urlOf(config: ServeConfig, { addresses }: Opened): Endpoint['url'] {
  const [first] = addresses[0].split('/')
  return `http://${first.includes(':') ? `[${first}]` : first}:${config.port}/`
}

/** Settles when all devices are done; one that goes away leaves the others at work. */
async function finish(
  servers: readonly DeviceServer[],
  log: Log,
): Promise<{ code: number; message: string }> {
  let atWork = servers.length
  const stats: ServerStats[] = []
  const endings = await Promise.all(
    servers.map(async ({ done }) => {
      const ending = await done
      if (ending.stats !== undefined) stats.push(ending.stats)
      if (--atWork > 0 && ending.code !== 0) log.warn(`${ending.message}; the others go on`)
      return ending
    }),
  )
  if (stats.length > 0) {
    const sum = sumOfStats(stats)
    log.stats({ ...sum.inUse, ...sum })
  }
  return endings.find(ending => ending.code !== 0) ?? endings[0]
}
