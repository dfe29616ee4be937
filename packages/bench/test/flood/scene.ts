/**
 * The scene of the flood: a server on a link in memory, and at the other end its clients and the
 * flood, which take turns. Time is virtual: the server's polls are as far apart as a batch of SYNs
 * takes on a link of 1 Gbit/s.
 */
import { BATCH_MAX, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address } from '@sandstorm/libtcpip'
import { type Content, Server } from 'sandstorm'
import { ClientWire } from '../../src/clientWire.ts'
import { answerLen } from '../../src/objects.ts'
import { Crowd } from '../million/crowd.ts'
import { Random } from '../million/random.ts'
import { type Answer, Downloader, OBJECTS, Visitor } from './clients.ts'
import { SynFlood } from './synFlood.ts'

/** Downloads that are under way before the flood begins. */
export const DOWNLOADS = 4

const SERVER_ADDRESS = 0x0a000001
const SERVER_PORT = 80
const RING = 4096
const SEED = 1
/** Sun, 06 Nov 1994 08:49:37 GMT */
const EPOCH_SEC = 784111777
/** Frames of the least size, with preamble and gap (IEEE 802.3). */
const LINE_RATE = 1_488_095
const POLL_US = Math.round((BATCH_MAX * 1e6) / LINE_RATE)
const PEACE_US = 1000
/**
 * Beyond 2^31 ms the clock is no small integer to V8, and handing it to the ARP table may box it.
 */
const START_US = 1e9
/** Half-open connections are given up after 63 s, and TIME-WAIT takes 60. */
const FINISH_MAX_US = 300e6
/** Kinds of clients, by their place in the crowd's list. */
const VISITOR = 0
const DOWNLOAD = 1

export class Scene {
  readonly server: Server
  readonly wire: ClientWire
  readonly crowd: Crowd
  readonly flood: SynFlood
  readonly visitor: Visitor
  readonly downloader: Downloader
  peakHalfOpen = 0
  peakConnections = 0
  serverMs = 0
  nowUs: number = START_US

  constructor(content: Content) {
    const [near, far] = memoryLink({ region: content.region, ringSize: RING })
    const random = new Random(SEED)
    this.wire = new ClientWire(
      {
        device: far,
        serverMac: near.mac,
        serverAddress: SERVER_ADDRESS,
        serverPort: SERVER_PORT,
      },
      2 * RING,
    )
    this.server = new Server({
      device: near,
      content,
      addresses: [ipv4Address('10.0.0.1', 8)],
      gateway: ipv4Address('10.0.0.254', 8),
      port: SERVER_PORT,
      transmit: 'template',
      random: () => random.int32(),
      nowUs: this.nowUs,
    })
    this.visitor = new Visitor(answerOf(content, 'small'))
    this.downloader = new Downloader(answerOf(content, 'big'))
    this.crowd = new Crowd({
      wire: this.wire,
      kinds: [this.visitor, this.downloader],
      capacity: DOWNLOADS + 1,
      addresses: 1,
      random,
      nowMs: Math.floor(this.nowUs / 1000),
      stateAt: () => 0, // no client here asks
    })
    this.flood = new SynFlood(this.wire, random)
  }

  /** Both kinds of clients once in peace, and the downloads well under way. */
  begin(): void {
    this.#visitNext()
    while (this.crowd.alive > 0) this.#turn(PEACE_US)
    for (let n = 0; n < DOWNLOADS; n++) this.crowd.begin(DOWNLOAD)
    while (this.downloader.completed < DOWNLOADS) this.#turn(PEACE_US)
  }

  /** The flood for a while. */
  endure(us: number): void {
    for (const end = this.nowUs + us; this.nowUs < end; ) {
      if (this.crowd.alive === DOWNLOADS) this.#visitNext()
      this.flood.fill()
      this.#turn(POLL_US)
    }
  }

  /**
   * Nobody comes any more; what has begun comes to its end, and the clock runs until nothing is
   * left.
   */
  finish(): void {
    this.downloader.isStopping = true
    const { tcp } = this.server.stack
    for (const end = this.nowUs + FINISH_MAX_US; this.nowUs < end; ) {
      const isQuiet = tcp.pool.usedCount === 0 && tcp.timeWait.count === 0
      if (this.crowd.alive === 0 && isQuiet && this.server.frames.inFlightCount === 0) return
      this.#turn(this.crowd.alive > 0 ? POLL_US : PEACE_US)
    }
  }

  #visitNext(): void {
    this.crowd.begin(VISITOR)
  }

  /** The server takes a batch, then the clients take all that it has sent. */
  #turn(us: number): void {
    const { server, crowd, wire } = this
    wire.flush()
    this.nowUs += us
    const epochSec = EPOCH_SEC + Math.floor((this.nowUs - START_US) / 1e6)
    const before = performance.now()
    server.poll(this.nowUs, epochSec)
    this.serverMs += performance.now() - before
    wire.flush()
    const nowMs = Math.floor(this.nowUs / 1000)
    while (crowd.poll(nowMs));
    const { halfOpen, pool } = server.stack.tcp
    if (halfOpen > this.peakHalfOpen) this.peakHalfOpen = halfOpen
    if (pool.usedCount > this.peakConnections) this.peakConnections = pool.usedCount
  }
}

function answerOf(content: Content, name: string): Answer {
  const bytes = answerLen(content, name)
  return { region: content.region, bytes, headLen: bytes - OBJECTS[name] }
}
