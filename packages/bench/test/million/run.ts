/**
 * Many connections of every kind (kinds.ts) against the whole server, on a link in memory and in
 * virtual time: first as many as the tables hold and more, then a tenth of the mixture to get warm,
 * then the rest. After each part the clock runs until all that was left alone has timed out. Then
 * nothing may be left (leftovers.ts), and the process may not have grown since the tenth.
 *
 * node --expose-gc run.js [LIVES] [MAX_CONNECTIONS] [--json]: prints tables, or a record for a
 * test; exit code 1 if something is left, somebody waits for ever, or the process grew.
 */
import { assert, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address, type TcpStats, tcb } from '@sandstorm/libtcpip'
import { type Content, Server } from 'sandstorm'
import { ClientWire } from '../../src/clientWire.ts'
import { loadObjects } from '../../src/objects.ts'
import { markdownTable } from '../../src/report.ts'
import { Crowd } from './crowd.ts'
import { HOARDERS, KINDS, type Kind, OBJECTS } from './kinds.ts'
import { leftovers } from './leftovers.ts'
import { memory } from './memory.ts'
import { Random } from './random.ts'

const SERVER_ADDRESS = 0x0a000001
const SERVER_PORT = 80
const REGION_BYTES = 128 << 20
const RING = 4096
const ADDRESSES = 20
const SEED = 1
/** Sun, 06 Nov 1994 08:49:37 GMT */
const EPOCH_SEC = 784111777
/** The stack's millisecond clock wraps in the first minute. */
const START_MS = 2 ** 31 - 40_000
/** Longer than any time-out, one after another. */
const FINISH_MAX_MS = 900_000
// Code that is compiled late, and pages of flat tables that are touched at a new peak
const HEAP_GROWTH_MAX = 2 << 20
const RSS_GROWTH_MAX = 16 << 20

interface Part {
  readonly name: string
  readonly lives: number
  readonly unanswered: number
  /** Clients that the server left without an end. */
  readonly waiting: number
  readonly peakConnections: number
  readonly peakTimeWait: number
  readonly virtualSeconds: number
  readonly seconds: number
  readonly heapBytes: number
  readonly rssBytes: number
  readonly leftovers: Record<string, number>
}

interface MillionRun {
  readonly parts: readonly Part[]
  readonly kinds: readonly { name: string; lives: number; reached: number }[]
  readonly heapGrowthBytes: number
  readonly rssGrowthBytes: number
  readonly drops: Record<string, number>
  readonly tcp: TcpStats
}

class Million {
  readonly server: Server
  readonly crowd: Crowd
  readonly #maxConnections: number
  #nowMs = START_MS
  #peakConnections = 0
  #peakTimeWait = 0

  constructor(content: Content, maxConnections: number) {
    const [near, far] = memoryLink({ region: content.region, ringSize: RING })
    const wire = new ClientWire(
      {
        device: far,
        serverMac: near.mac,
        serverAddress: SERVER_ADDRESS,
        serverPort: SERVER_PORT,
      },
      2 * RING,
    )
    const random = new Random(SEED)
    this.#maxConnections = maxConnections
    this.server = new Server({
      device: near,
      content,
      addresses: [ipv4Address('10.0.0.1', 8)],
      port: SERVER_PORT,
      transmit: 'template',
      tcp: {
        maxConnections,
        // Half as many can have something in the network: the others wait for their turn.
        maxFlights: maxConnections >> 1,
        // So few that cookies have their share of the handshakes.
        backlog: maxConnections >> 6,
        maxPerSource: maxConnections,
      },
      limits: { lingerBytes: 16384 },
      random: () => random.int32(),
      nowUs: this.#nowMs * 1000,
    })
    const { table } = this.server.stack.tcp
    const fields = this.server.stack.tcp.tcb
    this.crowd = new Crowd({
      wire,
      kinds: [...KINDS, ...HOARDERS],
      capacity: 2 * maxConnections,
      addresses: ADDRESSES,
      random,
      nowMs: this.#nowMs,
      stateAt: (address, port) => {
        const c = table.find4(address, 0, (port << 16) | SERVER_PORT)
        return c === tcb.NO_CONN ? 0 : fields[c + tcb.STATE]
      },
    })
  }

  /** More connections at once than there are TCBs; most want an answer, and none takes any. */
  hoard(): void {
    const count = this.#maxConnections + 1000
    for (let n = 0; n < count; n++) {
      this.crowd.begin(KINDS.length + (n % 8 < HOARDERS.length ? n % 8 : 0))
      if (n % 50 === 49) this.#turn(1)
    }
  }

  /** A mixture of all kinds, one a millisecond. */
  mix(lives: number): void {
    for (let n = 0; n < lives; n++) {
      this.crowd.begin(this.#draw())
      this.#turn(1)
    }
  }

  #draw(): number {
    const { random } = this.crowd
    while (true) {
      const kind = random.below(KINDS.length)
      if (!KINDS[kind].isRare || random.below(8) === 0) return kind
    }
  }

  /** Lets the clock run until nothing is left, or for as long as anything may take. */
  finish(): void {
    for (const end = this.#nowMs + FINISH_MAX_MS; this.#nowMs < end; ) {
      const server = this.server.idleUs()
      const crowd = this.crowd.idleMs()
      if (crowd < 0 && this.#isQuiet()) return
      const next = server < 0 ? crowd : crowd < 0 ? server / 1000 : Math.min(server / 1000, crowd)
      this.#turn(Math.max(1, Math.ceil(next)))
    }
  }

  async part(name: string, play: () => void): Promise<Part> {
    const { crowd } = this
    const before = performance.now()
    const startMs = this.#nowMs
    const { begun, unanswered } = crowd
    this.#peakConnections = 0
    this.#peakTimeWait = 0
    play()
    this.finish()
    const seconds = (performance.now() - before) / 1000
    const sources = Array.from({ length: ADDRESSES }, (_, n) => 0x0a000100 + n)
    return {
      name,
      lives: crowd.begun - begun,
      unanswered: crowd.unanswered - unanswered,
      waiting: crowd.alive,
      peakConnections: this.#peakConnections,
      peakTimeWait: this.#peakTimeWait,
      virtualSeconds: (this.#nowMs - startMs) / 1000,
      seconds,
      ...(await memory()),
      leftovers: leftovers(this.server, sources),
    }
  }

  /** Time passes; then both ends take what there is. */
  #turn(ms: number): void {
    const { server, crowd } = this
    this.#nowMs += ms
    const epochSec = EPOCH_SEC + Math.floor((this.#nowMs - START_MS) / 1000)
    for (let n = 0; server.poll(this.#nowMs * 1000, epochSec) > 0; n++) {
      assert(n < 10_000, 'the server comes to rest')
    }
    while (crowd.poll(this.#nowMs));
    const { pool, timeWait } = server.stack.tcp
    if (pool.usedCount > this.#peakConnections) this.#peakConnections = pool.usedCount
    if (timeWait.count > this.#peakTimeWait) this.#peakTimeWait = timeWait.count
  }

  #isQuiet(): boolean {
    const { tcp } = this.server.stack
    return (
      tcp.pool.usedCount === 0 &&
      tcp.timers.count === 0 &&
      tcp.timeWait.count === 0 &&
      this.server.frames.inFlightCount === 0
    )
  }
}

async function run(lives: number, maxConnections: number): Promise<MillionRun> {
  const million = new Million(await loadObjects(OBJECTS, REGION_BYTES), maxConnections)
  const warm = Math.floor(lives / 10)
  const parts = [
    await million.part('more than fit', () => million.hoard()),
    await million.part('a tenth, to get warm', () => million.mix(warm)),
    await million.part('the rest', () => million.mix(lives - warm)),
  ]
  const { crowd, server } = million
  return {
    parts,
    kinds: KINDS.map(({ name }: Kind, kind) => ({
      name,
      lives: crowd.begunOf[kind],
      reached: crowd.reachedOf[kind],
    })),
    heapGrowthBytes: parts[2].heapBytes - parts[1].heapBytes,
    rssGrowthBytes: parts[2].rssBytes - parts[1].rssBytes,
    drops: server.stats().drops,
    tcp: server.stats().tcp,
  }
}

/** What is wrong with a run, one line each. */
function faults(result: MillionRun): string[] {
  const lines: string[] = []
  for (const part of result.parts) {
    for (const [name, count] of Object.entries(part.leftovers)) {
      if (count !== 0) lines.push(`after "${part.name}": ${name} ${count}`)
    }
    if (part.waiting > 0) lines.push(`after "${part.name}": ${part.waiting} clients still wait`)
  }
  for (const { name, lives, reached } of result.kinds) {
    if (lives === 0 || reached < 0.9 * lives) lines.push(`${name}: ${reached} of ${lives}`)
  }
  if (result.heapGrowthBytes > HEAP_GROWTH_MAX)
    lines.push(`heap: ${result.heapGrowthBytes} bytes more`)
  if (result.rssGrowthBytes > RSS_GROWTH_MAX) lines.push(`RSS: ${result.rssGrowthBytes} bytes more`)
  return lines
}

const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

function table(result: MillionRun): string {
  const kinds = result.kinds.map(k => [k.name, `${k.lives}`, `${k.reached}`])
  const parts = result.parts.map(p => [
    p.name,
    `${p.lives}`,
    `${p.unanswered}`,
    `${p.peakConnections}`,
    `${p.peakTimeWait}`,
    p.virtualSeconds.toFixed(0),
    p.seconds.toFixed(1),
    mb(p.heapBytes),
    mb(p.rssBytes),
  ])
  const head = [
    'part',
    'lives',
    'not let in',
    'most TCBs',
    'most in TIME-WAIT',
    'virtual s',
    's',
    'heap after, MB',
    'RSS after, MB',
  ]
  return `${markdownTable(['kind of life', 'lives', 'came to its goal'], kinds)}\n\n${markdownTable(head, parts)}`
}

const [lives = '1000000', maxConnections = '65536', format] = process.argv.slice(2)
const result = await run(Number(lives), Number(maxConnections))
const wrong = faults(result)
if (format === '--json') process.stdout.write(`${JSON.stringify({ ...result, faults: wrong })}\n`)
else
  process.stdout.write(`${table(result)}\n\n${JSON.stringify(result.drops)}\n${wrong.join('\n')}\n`)
process.exitCode = wrong.length > 0 ? 1 : 0
