/**
 * One run of the idle benchmark, in a process of its own: opens connections, fetches one small
 * object on each, keeps them, and looks at what they cost, in memory and in time. The client
 * remembers nothing (what a frame says is enough to answer it), so what the process grows by is the
 * server's. The clock is virtual, a millisecond a turn, but for what is measured. Prints one line
 * of JSON.
 *
 * node --expose-gc idleRun.js CONNECTIONS
 */
import { setImmediate } from 'node:timers/promises'
import { assert, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address, tcp } from '@sandstorm/libtcpip'
import { type Content, Server } from 'sandstorm'
import { ClientWire, TCP_OFF } from './clientWire.ts'
import { loadObjects, requestFor } from './objects.ts'

export interface IdleRun {
  readonly connections: number
  /** Resident, before the first connection and with all of them idle. */
  readonly rssBeforeBytes: number
  readonly rssBytes: number
  /**
   * Of all tables that grow with the number of connections, by their length, for each connection.
   */
  readonly tableBytes: number
  /** Accepted and answered in a second of server.poll, and in one of the whole process. */
  readonly acceptsPerServerSecond: number
  readonly acceptsPerSecond: number
  /** Polls without a frame, one a millisecond: on average, and the longest of them. */
  readonly emptyPolls: number
  readonly emptyPollUs: number
  readonly longestPollUs: number
  /** Connections that the server has closed at the end, each after its idle time. */
  readonly closed: number
  readonly left: number
}

const SERVER_ADDRESS = 0x0a000001
const SERVER_PORT = 80
const FIRST_ADDRESS = 0x0a000100
const FIRST_PORT = 1024
const PORTS = 64000
const REGION_BYTES = 48 << 20
const RING = 1024
/** New connections in a virtual millisecond. */
const OPENED_PER_TURN = 50
const EPOCH_SEC = 784111777
const START_MS = 1_000_000
/** The server closes what was idle for a minute. */
const IDLE_MS = 60_000
const { ACK, FIN, PSH, SYN } = tcp
const NOTHING = new Uint8Array(0)

class IdleClients {
  readonly wire: ClientWire
  answers = 0
  ended = 0
  readonly #request = requestFor('small', 'keep-alive')

  constructor(wire: ClientWire) {
    this.wire = wire
  }

  open(n: number): void {
    const { wire } = this
    wire.address = FIRST_ADDRESS + Math.floor(n / PORTS)
    wire.port = FIRST_PORT + (n % PORTS)
    wire.seq = n
    wire.ack = 0
    wire.send(SYN, NOTHING, 0, 0)
  }

  poll(): number {
    const { wire } = this
    const { rxOff, rxLen } = wire.device
    const count = wire.receive()
    for (let i = 0; i < count; i++) if (!wire.takeArp(rxOff[i])) this.#answer(rxOff[i], rxLen[i])
    wire.flush()
    return count
  }

  /** What a frame says is all there is to know: its numbers are ours, turned round. */
  #answer(off: number, len: number): void {
    const { wire } = this
    const { view } = wire
    const header = off + TCP_OFF
    const flags = tcp.flags(view, header)
    const bytes = len - TCP_OFF - tcp.headerLen(view, header)
    wire.address = view.getInt32(header - 4)
    wire.port = tcp.dstPort(view, header)
    wire.seq = tcp.ack(view, header)
    wire.ack = (tcp.seq(view, header) + bytes + (flags & (SYN | FIN) ? 1 : 0)) | 0
    if (flags & SYN) {
      wire.send(ACK | PSH, this.#request, 0, this.#request.length)
    } else if (flags & FIN) {
      this.ended++
      wire.send(ACK | FIN, NOTHING, 0, 0)
    } else if (bytes > 0) {
      this.answers++
      wire.send(ACK, NOTHING, 0, 0)
    }
  }
}

class IdleServer {
  readonly server: Server
  readonly clients: IdleClients
  nowMs = START_MS
  /** Milliseconds spent inside server.poll. */
  serverMs = 0
  longestMs = 0

  constructor(content: Content, maxConnections: number) {
    const [near, far] = memoryLink({ region: content.region, ringSize: RING })
    const options = {
      device: far,
      serverMac: near.mac,
      serverAddress: SERVER_ADDRESS,
      serverPort: SERVER_PORT,
    }
    this.clients = new IdleClients(new ClientWire(options, 2 * RING))
    this.server = new Server({
      device: near,
      content,
      addresses: [ipv4Address('10.0.0.1', 8)],
      port: SERVER_PORT,
      transmit: 'template',
      tcp: { maxConnections },
      limits: { idleTimeoutMs: IDLE_MS },
      random: () => (Math.random() * 2 ** 32) | 0,
      nowUs: this.nowMs * 1000,
    })
  }

  /** A millisecond passes, and both ends take what there is. */
  turn(): void {
    this.nowMs++
    do this.#poll()
    while (this.clients.poll() > 0)
  }

  openAll(count: number): void {
    for (let n = 0; n < count; n++) {
      this.clients.open(n)
      if (n % OPENED_PER_TURN === OPENED_PER_TURN - 1) this.turn()
    }
    for (let n = 0; n < 50; n++) this.turn()
  }

  /** Microseconds of an empty poll, on average, for as many milliseconds. */
  emptyPollUs(turns: number): number {
    this.serverMs = 0
    this.longestMs = 0
    for (let n = 0; n < turns; n++) {
      this.nowMs++
      this.#poll()
    }
    return (this.serverMs * 1000) / turns
  }

  #poll(): void {
    const epochSec = EPOCH_SEC + Math.floor((this.nowMs - START_MS) / 1000)
    const before = performance.now()
    this.server.poll(this.nowMs * 1000, epochSec)
    const ms = performance.now() - before
    this.serverMs += ms
    if (ms > this.longestMs) this.longestMs = ms
  }
}

/** Memory when all garbage is collected. */
async function memory(): Promise<NodeJS.MemoryUsage> {
  const collect = globalThis.gc
  assert(collect !== undefined, 'node runs with --expose-gc')
  for (let n = 0; n < 3; n++) {
    collect()
    await setImmediate()
  }
  return process.memoryUsage()
}

/** Bytes of a server's tables for each connection, beyond what one for a few has. */
async function tableBytes(count: number): Promise<number> {
  const bytesOf = async (maxConnections: number): Promise<number> => {
    const content = await loadObjects({ small: 1 }, REGION_BYTES)
    const before = (await memory()).arrayBuffers
    const { server } = new IdleServer(content, maxConnections)
    const bytes = (await memory()).arrayBuffers - before
    assert(server.isDrained, 'a new server has no connections, and is still there')
    return bytes
  }
  const few = await bytesOf(64)
  const many = await bytesOf(count)
  return (many - few) / (count - 64)
}

async function run(count: number): Promise<IdleRun> {
  const content = await loadObjects({ small: 1 }, REGION_BYTES)
  const idle = new IdleServer(content, count)
  const { server, clients } = idle
  const rssBeforeBytes = (await memory()).rss
  const before = performance.now()
  idle.openAll(count)
  const seconds = (performance.now() - before) / 1000
  const serverSeconds = idle.serverMs / 1000
  const rss = (await memory()).rss
  const { inUse } = server.stats()
  assert(clients.answers === count && inUse.connections === count, 'everybody was served')
  assert(
    inUse.sendRecords === 0 && server.stack.tcp.flights.usedCount === 0,
    'nothing is under way',
  )
  // Until the first has been idle for its time
  const openedMs = idle.nowMs - START_MS
  const emptyPolls = IDLE_MS - openedMs - 1000
  const emptyPollUs = idle.emptyPollUs(emptyPolls)
  const longestPollUs = idle.longestMs * 1000
  while (idle.nowMs < START_MS + openedMs + IDLE_MS + 100) idle.turn()
  return {
    connections: count,
    rssBeforeBytes,
    rssBytes: rss,
    tableBytes: await tableBytes(count),
    acceptsPerServerSecond: count / serverSeconds,
    acceptsPerSecond: count / seconds,
    emptyPolls,
    emptyPollUs,
    longestPollUs,
    closed: clients.ended,
    left: server.stats().inUse.connections,
  }
}

const result = await run(Number(process.argv[2] ?? 1_000_000))
process.stdout.write(`${JSON.stringify(result)}\n`)
