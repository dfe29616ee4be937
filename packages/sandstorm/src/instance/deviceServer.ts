/**
 * All that serves on one device: its queues, and a packet thread for each. The threads share
 * nothing but the content, which nobody writes, and the hub through which they hand over frames of
 * each other's flows. One that dies is replaced, and the others go on; its connections are lost,
 * and the new one tells their clients so (RST).
 *
 * The device's descriptors are the main thread's: they outlive a thread that dies, and are closed
 * when all have ended.
 */
import { basename, join, parse } from 'node:path'
import { closeHandles, deviceName, leaveHub, Region, watchMac } from '@sandstorm/libnmio'
import { ADDRESS_STATES_BYTES, tcb } from '@sandstorm/libtcpip'
import type { Attachment, LiveContent } from '../content/live.ts'
import type { Fronts } from '../front/fronts.ts'
import { type ServerStats, sumOfStats } from '../stats.ts'
import { FeedDesk } from './feedDesk.ts'
import type { Log } from './instance.ts'
import type { Opened } from './openDevice.ts'
import { type Ending, PacketThread } from './packetThread.ts'
import { type Part, queueSetup } from './queue.ts'
import { DRAIN, STOP, type WorkerSetup } from './workerSetup.ts'

/** A packet thread that is still draining so long after its time is told to end at once. */
const STOP_GRACE_MS = 2000
/**
 * Threads that die so soon after they began to serve, one after the other, show that starting is no
 * help.
 */
const SOON_MS = 2000
const DEATHS_MAX = 3

/** What the threads of a device are started with; what is each one's own is added here. */
export interface CommonSetup extends Omit<WorkerSetup, OwnFields> {
  /** There is one thread in all. */
  readonly isAlone: boolean
}
type OwnFields =
  | 'content'
  | 'control'
  | 'tcbs'
  | 'orphans'
  | 'addressStates'
  | 'handle'
  | 'part'
  | 'worker'
  | 'sharesAddresses'
  | 'wakeFds'
  | 'cpu'
  | 'accessRing'
  | 'durations'

/**
 * Of each worker its part of the region, the CPU that it is pinned to (-1: none), and what it
 * writes for others to read: a worker that replaces another goes on in the same memory.
 */
export interface Place extends Part {
  readonly cpu: number
  readonly accessRing: SharedArrayBuffer | undefined
  readonly durations: SharedArrayBuffer
}

/** `code` is for the process: 0: told to, 1: by itself, 2: the user's to mend. */
export interface DeviceEnding {
  readonly code: number
  readonly message: string
  readonly stats: ServerStats | undefined
}

/** Where answers come from. */
export interface Sources {
  readonly content: LiveContent
  /** Of its sites; undefined: none has an origin. */
  readonly fronts: Fronts | undefined
}

export class DeviceServer {
  readonly device: string
  /** Settles when all threads are gone and the device is closed. */
  readonly done: Promise<DeviceEnding>
  /** Settles when all threads serve. */
  readonly ready: Promise<unknown>
  readonly #opened: Opened
  readonly #content: LiveContent
  readonly #fronts: Fronts | undefined
  readonly #common: CommonSetup
  readonly places: readonly Place[]
  readonly #log: Log
  /** By worker. */
  readonly threads: PacketThread[]
  /** By worker: it reads the content. */
  readonly #attachments: Attachment[] = []
  /** By worker: its connections. */
  readonly #tcbs: SharedArrayBuffer[] = []
  /** Worker 0 tells the others there which of our addresses may be used. */
  readonly #addressStates = new SharedArrayBuffer(ADDRESS_STATES_BYTES)
  /** By worker: it fetches what is not in memory. */
  readonly #desks: FeedDesk[] = []
  #isStopping = false
  /** Why it ends although nobody has asked for that. */
  #failure = ''

  constructor(
    opened: Opened,
    { content, fronts }: Sources,
    common: CommonSetup,
    places: readonly Place[],
    log: Log,
  ) {
    this.device = deviceName(opened.handles[0])
    this.#opened = opened
    this.#content = content
    this.#fronts = fronts
    this.#common = common
    this.places = places
    this.#log = log
    this.threads = places.map((_, worker) => this.#start(worker))
    this.ready = Promise.all(this.threads.map(({ ready }) => ready))
    this.done = this.#run()
  }

  /** Ends it cleanly; idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#tell(DRAIN)
    const timer = setTimeout(() => this.#tell(STOP), this.#common.drainTimeoutMs + STOP_GRACE_MS)
    await this.done
    clearTimeout(timer)
  }

  #tell(bit: number): void {
    for (const thread of this.threads) thread.tell(bit)
  }

  #start(worker: number): PacketThread {
    const { spread, hub, maxConnections } = this.#common
    const orphans = this.#tcbs[worker]
    const tcbs = new SharedArrayBuffer(tcb.TcbPool.bytesFor(maxConnections))
    this.#tcbs[worker] = tcbs
    const place = this.places[worker]
    const { cpu, accessRing, durations } = place
    // The thread of a worker, whichever that is then.
    const attachment = this.#content.attach(mail =>
      this.threads[worker].send({ kind: 'content', mail }),
    )
    this.#attachments[worker] = attachment
    const setup = {
      ...this.#common,
      ...queueSetup(this.#opened, spread, hub, worker, place),
      content: attachment.shared,
      tcbs,
      orphans,
      addressStates: this.#addressStates,
      cpu,
      accessRing,
      durations,
      pcap: this.#pcapOf(worker),
    }
    const thread = new PacketThread(setup, {
      onWarning: line => this.#log.warn(line),
      onFeed: order => desk.take(order),
    })
    const desk = new FeedDesk(this.#content, this.#fronts, mail => thread.send(mail))
    this.#desks[worker] = desk
    return thread
  }

  /** A file of its own for each of several threads: out.web0-1.pcapng. */
  #pcapOf(worker: number): string {
    const { pcap, isAlone } = this.#common
    if (pcap === '' || isAlone) return pcap
    const { dir, name, ext } = parse(pcap)
    const device = basename(this.#opened.handles[0].name)
    return join(dir, `${name}.${device}-${worker}${ext}`)
  }

  async #run(): Promise<DeviceEnding> {
    const unwatch = watchMac(this.#opened.handles[0], line => {
      this.#failure = line
      // At once: clients to wait for do not find us any more.
      this.#tell(STOP)
    })
    const endings = await Promise.all(this.threads.map((_, worker) => this.#keep(worker)))
    unwatch()
    this.#opened.close()
    closeHandles(this.#opened.handles)
    const stats = endings.flatMap(ending => ('stats' in ending ? [ending.stats] : []))
    const worst =
      endings.find(({ kind }) => kind === 'refused') ??
      endings.find(({ kind }) => kind === 'died') ??
      endings.find(({ kind }) => kind === 'down')
    const ending = this.#failure === '' ? explain(worst) : { code: 1, message: this.#failure }
    return { ...ending, stats: stats.length === 0 ? undefined : sumOfStats(stats) }
  }

  /** Sees to it that there is such a worker, until it ends for another reason than its death. */
  async #keep(worker: number): Promise<Ending> {
    let deaths = 0
    for (;;) {
      const thread = this.threads[worker]
      let servesSinceMs = Number.POSITIVE_INFINITY
      void thread.ready.then(() => {
        servesSinceMs = performance.now()
      })
      const ending = await thread.ended
      this.#desks[worker].close()
      this.#attachments[worker].detach()
      if (ending.kind !== 'died' || this.#isStopping) return this.#endAll(ending)
      deaths = performance.now() - servesSinceMs < SOON_MS ? deaths + 1 : 1
      if (deaths === DEATHS_MAX) return this.#endAll(ending)
      const who = this.places.length === 1 ? 'the packet thread' : `worker ${worker}`
      this.#log.warn(`${who} of ${this.device} died and is replaced: ${ending.message}`)
      this.#leave(worker)
      this.threads[worker] = this.#start(worker)
    }
  }

  /** Others do not outlast one that cannot go on. */
  #endAll(ending: Ending): Ending {
    const isAlone = ending.kind === 'refused' || ending.kind === 'died'
    if (isAlone && !this.#isStopping) this.#tell(STOP)
    return ending
  }

  #leave(worker: number): void {
    const { hub, spread } = this.#common
    const { region } = this.#attachments[worker].shared
    if (spread.count > 1) leaveHub(new Region(region), hub, worker)
  }
}

function explain(ending: Ending | undefined): { code: number; message: string } {
  if (ending === undefined || ending.kind === 'stopped') return { code: 0, message: '' }
  if (ending.kind === 'down') return { code: 1, message: ending.message }
  if (ending.kind === 'refused') return { code: 2, message: `cannot serve: ${ending.message}` }
  return { code: 1, message: `the packet thread failed: ${ending.message}` }
}
