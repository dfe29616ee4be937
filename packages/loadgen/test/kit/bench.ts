/**
 * A generator on our own TCP and a server that answers as a test says, on a link in memory, with a
 * virtual clock: 10.0.0.1 asks 10.0.0.2.
 */
import assert from 'node:assert/strict'
import {
  type Device,
  FaultDevice,
  FramePool,
  faultRegionBytes,
  memoryLink,
  parseFault,
  Region,
} from '@sandstorm/libnmio'
import {
  type Application,
  Cubic,
  ipv4Address,
  Stack,
  type Stream,
  Streams,
  streamsRegionBytes,
  type TcpConfig,
} from '@sandstorm/libtcpip'
import { Generator } from '../../src/generator.ts'
import { Schedule } from '../../src/schedule.ts'
import type { Tally } from '../../src/tally.ts'
import { TcpTransport, tcpConfig } from '../../src/tcpTransport.ts'

const FRAMES = 2048
const MAX_STREAMS = 300
const STREAMS = { maxStreams: MAX_STREAMS, sendBytes: 65536, receiveBytes: 8192 }
/** By default the server's network takes so long for a turn. */
const STEP_US = 100
const TIMEOUT_US = 500_000

export interface BenchOptions {
  readonly connections?: number
  readonly keepAlive?: boolean
  readonly count?: number
  readonly durationUs?: number
  readonly rate?: number
  readonly sources?: number
  readonly timeoutUs?: number
  readonly request?: string
  /** Of the client's network, for parseFault. */
  readonly fault?: string
  /** Nobody listens. */
  readonly isDeaf?: boolean
  /** Has a new connection before it. */
  readonly greet?: (stream: Stream, bench: Bench) => void
  /** Has request `n` of the run (from 0 on) before it; its whole head has come. */
  readonly answer: (stream: Stream, n: number, bench: Bench) => void
}

export const OK_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'

/** Writes an answer, and closes behind it if the request asked for that. */
export function say(stream: Stream, text: string, closes = false): void {
  stream.write(new TextEncoder().encode(text))
  if (closes) stream.shutdown()
}

export class Bench {
  readonly client: Stack
  readonly server: Stack
  readonly generator: Generator
  /** Heads of requests, in order. */
  readonly requests: string[] = []
  /** The peers of the server's connections, in order. */
  readonly peers: string[] = []
  nowUs = 1_000_000
  readonly #later: { readonly atUs: number; readonly run: () => void }[] = []

  constructor(options: BenchOptions) {
    const { connections = 4, keepAlive = true, sources = 1 } = options
    const { count = 0, durationUs = 0, rate = 0, timeoutUs = TIMEOUT_US } = options
    const faultBytes = options.fault === undefined ? 0 : faultRegionBytes(1500)
    const region = new Region(2 * (FRAMES * 2048 + 8192) + streamsRegionBytes(STREAMS) + faultBytes)
    const [wire, far] = memoryLink({ region, ringSize: 1024 })
    const near =
      options.fault === undefined
        ? wire
        : new FaultDevice(wire, parseFault(options.fault), { clock: () => this.nowUs })
    const connection = keepAlive ? 'keep-alive' : 'close'
    const text = options.request ?? `GET / HTTP/1.1\r\nConnection: ${connection}\r\n\r\n`
    const transport = new TcpTransport({
      connections,
      remote: ipv4Address('10.0.0.2'),
      port: 80,
      request: new TextEncoder().encode(text),
      firstSource: 0,
      sources,
      firstNumber: 0,
    })
    this.client = this.#stack(near, region, transport, sources, tcpConfig(connections))
    const schedule = new Schedule({ count, durationUs, rate })
    const graceUs = durationUs > 0 ? 100_000 : Number.POSITIVE_INFINITY
    const all = { connections, keepAlive, schedule, timeoutUs, graceUs }
    this.generator = new Generator(all, transport)
    transport.attach(this.client, this.generator)
    const streams = new Streams(region, STREAMS)
    this.server = this.#stack(far, region, streams, 0, streams.tcpConfig)
    streams.attach(this.server)
    if (options.isDeaf !== true) this.#listen(streams, options)
  }

  get tally(): Tally {
    return this.generator.tally
  }

  get errors(): number[] {
    return Array.from(this.tally.errors)
  }

  /** Runs to the end; returns the tally. */
  run(): Tally {
    this.generator.start(this.nowUs)
    for (let turn = 0; !this.generator.isOver; turn++) {
      assert.ok(turn < 200_000, 'it comes to an end')
      this.step()
    }
    return this.tally
  }

  step(): void {
    this.nowUs += STEP_US
    this.generator.poll(this.nowUs)
    this.client.poll(this.nowUs)
    for (const { run } of this.#due()) run()
    this.server.poll(this.nowUs)
  }

  /** Calls back after so much time. */
  after(us: number, run: () => void): void {
    this.#later.push({ atUs: this.nowUs + us, run })
  }

  #due(): { readonly run: () => void }[] {
    const due = this.#later.filter(({ atUs }) => atUs <= this.nowUs)
    for (const one of due) this.#later.splice(this.#later.indexOf(one), 1)
    return due
  }

  #listen(streams: Streams, { greet, answer }: BenchOptions): void {
    const texts = new Map<Stream, string>()
    const buffer = new Uint8Array(8192)
    streams.listen(80, {
      onConnect: stream => {
        stream.noDelay = true
        texts.set(stream, '')
        this.peers.push(stream.remoteAddress)
        greet?.(stream, this)
      },
      onData: stream => {
        const len = stream.read(buffer)
        const text = (texts.get(stream) ?? '') + new TextDecoder().decode(buffer.subarray(0, len))
        const isWhole = text.endsWith('\r\n\r\n')
        texts.set(stream, isWhole ? '' : text)
        if (!isWhole) return
        this.requests.push(text)
        answer(stream, this.requests.length - 1, this)
      },
    })
  }

  #stack(
    device: Device,
    region: Region,
    app: Application,
    sources: number,
    tcp: Partial<TcpConfig>,
  ): Stack {
    let seed = 1
    const random = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0
      return seed
    }
    const addresses =
      sources === 0
        ? [ipv4Address('10.0.0.2', 24)]
        : Array.from({ length: sources }, (_, k) => ipv4Address(`10.0.0.${10 + k}`, 24))
    const frames = new FramePool(region, FRAMES)
    const congestion = new Cubic()
    return new Stack({ device, frames, addresses, app, congestion, tcp, random, nowUs: this.nowUs })
  }
}
