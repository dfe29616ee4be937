/**
 * Our server and our load generator on two linked ports, in one thread, taking turns: what a
 * response costs each of them, with TCP on both sides and no kernel (memoryPair.ts has a client
 * without one).
 */
import { FramePool, memoryLink } from '@sandstorm/libnmio'
import { Cubic, ipv4Address, Stack } from '@sandstorm/libtcpip'
import { Generator, Schedule, TcpTransport, tcpConfig } from '@sandstorm/loadgen'
import { type Content, Server } from 'sandstorm'
import { requestFor } from './objects.ts'

const CONNECTIONS = 64
const SERVER = ipv4Address('10.0.0.1', 24)
const CLIENT = ipv4Address('10.0.0.2', 24)
const PORT = 80
const FRAMES = 4096
/** Longer than any measurement. */
const FOREVER_US = 3600e6
/** The clock takes no longer steps: a machine that stands still for a while loses no packets. */
const STEP_MAX_MS = 1

const random = (): number => (Math.random() * 2 ** 32) | 0

export class GeneratorPair {
  readonly server: Server
  readonly client: Stack
  readonly generator: Generator
  /** Milliseconds spent inside the server, and inside the generator with its TCP. */
  serverMs = 0
  generatorMs = 0
  #clockMs: number = performance.now()
  #lastMs: number = performance.now()

  /** `content` has `/object`. */
  constructor(content: Content, keepAlive: boolean) {
    const { region } = content
    const [near, far] = memoryLink({ region, mtu: 1500, ringSize: 4096, vouches: true })
    const nowUs = this.#clockMs * 1000
    const transport = new TcpTransport({
      connections: CONNECTIONS,
      remote: SERVER,
      port: PORT,
      request: requestFor('object', keepAlive ? 'keep-alive' : 'close'),
      firstSource: 0,
      sources: 1,
      firstNumber: 0,
    })
    this.client = new Stack({
      device: far,
      frames: new FramePool(region, FRAMES),
      addresses: [CLIENT],
      app: transport,
      congestion: new Cubic(),
      tcp: tcpConfig(CONNECTIONS),
      random,
      nowUs,
    })
    const schedule = new Schedule({ count: 0, durationUs: FOREVER_US, rate: 0 })
    const times = { timeoutUs: 10e6, graceUs: 0 }
    const options = { connections: CONNECTIONS, keepAlive, schedule, ...times }
    this.generator = new Generator(options, transport)
    transport.attach(this.client, this.generator)
    this.server = new Server({
      device: near,
      content,
      addresses: [SERVER],
      port: PORT,
      random,
      nowUs,
    })
    this.generator.start(nowUs)
  }

  take(turns: number): void {
    const { server, client, generator } = this
    const epochSec = Math.floor(Date.now() / 1000)
    for (let i = 0; i < turns; i++) {
      const before = performance.now()
      this.#clockMs += Math.min(before - this.#lastMs, STEP_MAX_MS)
      this.#lastMs = before
      const nowUs = this.#clockMs * 1000
      server.poll(nowUs, epochSec)
      const between = performance.now()
      generator.poll(nowUs)
      client.poll(nowUs)
      this.generatorMs += performance.now() - between
      this.serverMs += between - before
    }
  }
}
