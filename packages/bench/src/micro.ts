/**
 * The parts by themselves, in nanoseconds per operation: for judging a change, not for comparing
 * systems (a call in a tight loop is flattered by caches and branch prediction). Each case runs in
 * rounds of at least a fifth of `--seconds`; the median round counts.
 */
import { assert, BATCH_MAX, FramePool, memoryLink, Region } from '@sandstorm/libnmio'
import { Cubic, checksum, SipHash, type Tcp, tcb, tcp as wire } from '@sandstorm/libtcpip'
import { HttpMachine, inlineMore } from 'sandstorm'
import { CookieRun } from './cookieRun.ts'
import { oneObject, Pair } from './memoryPair.ts'
import type { Options } from './options.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'
import { CONNECTIONS, type Offer, StackRun } from './stackRun.ts'

/** Does the operation `ops` times; what it returns keeps the compiler from leaving it out. */
type Run = (ops: number) => number
/** Does the operation `ops` times; returns the milliseconds that count. */
type Timed = (ops: number) => number
const ROUNDS = 5
/** All rounds of a case together, only to show that it works. */
const QUICK_MS = 100
/** Segments in flight where ACKs are measured: an initial window. */
const WINDOW_SEGMENTS = 10
/** A cookie's: window scale 7 and SACK, by way of timestamps. */
const COOKIE_OPTIONS = 7 | 16
const NO_COOKIE = -1

const CASES: Readonly<Record<string, () => Run | Promise<Run>>> = {
  'checksum/20': () => sumOf(20),
  'checksum/1460': () => sumOf(1460),
  'siphash/16': () => {
    const hash = new SipHash(Int32Array.of(1, 2, 3, 4))
    return ops => repeat(ops, i => hash.hash(i, 2, 3, 4))
  },
  'copy/66': () => copyOf(66, regionCopy()),
  'copy/66/copyWithin': () => copyOf(66, copyWithin(new SharedArrayBuffer(COPY_BYTES))),
  'copy/1500': () => copyOf(1500, regionCopy()),
  'copy/1500/copyWithin': () => copyOf(1500, copyWithin(new SharedArrayBuffer(COPY_BYTES))),
  'copy/1500/unshared': () => copyOf(1500, copyWithin(new ArrayBuffer(COPY_BYTES))),
  'headers/begin': async () => beginHeaders(await openConnection()),
  'headers/patch': async () => headers(await openConnection(), 'patch'),
  'headers/write': async () => headers(await openConnection(), 'write'),
  'table/lookup/10': async () => lookUp(await tableOf(10)),
  'table/lookup/10k': async () => lookUp(await tableOf(10_000)),
  'table/lookup/1M': async () => lookUp(await tableOf(1_000_000)),
  'cubic/onAck': cubicAcks,
  'cookie/make': async () => makeCookies(await openConnection()),
  'cookie/check': async () => checkCookies(await openConnection(), 0),
  'cookie/refuse': async () => checkCookies(await openConnection(), 1 << 31),
  'http/next': nextRequest,
  'frames/send': sendFrames,
}

/** Segments through the whole stack; only its own time counts, not the peer's. */
const STACK_CASES: Readonly<Record<string, () => Timed | Promise<Timed>>> = {
  'ack/plain': () => steadyAcks('nothing'),
  'ack/timestamps': () => steadyAcks('timestamps'),
  'ack/sack': sackedAcks,
  'retransmit/timeout': timeOuts,
  'syn/cookie': () => whileFull(wire.SYN, ['syncookiesSent']),
  'ack/forged': () => whileFull(wire.ACK, ['syncookiesFailed', 'syncookiesRecv']),
}

/** Runs all cases, each for about `--seconds`, or `--quick` for a tenth of one. */
export async function benchMicro(options: Options): Promise<void> {
  inlineMore()
  const ms = options.quick ? QUICK_MS : options.seconds * 1000
  const results: { name: string; ns: number[] }[] = []
  for (const [name, prepare] of Object.entries(CASES)) {
    results.push({ name, ns: measure(stopWatch(await prepare()), ms) })
  }
  for (const [name, prepare] of Object.entries(STACK_CASES)) {
    results.push({ name, ns: measure(await prepare(), ms) })
  }
  const rows = results.map(({ name, ns }) => [
    name,
    median(ns).toFixed(1),
    `${Math.round(spreadPercent(ns))} %`,
  ])
  report('micro', markdownTable(['case', 'ns/op', 'spread'], rows), { results }, options)
}

/** Nanoseconds per operation in each round; the first, for the compiler, is left out. */
function measure(time: Timed, ms: number): number[] {
  const ns: number[] = []
  let ops = 1000
  for (let round = 0; round <= ROUNDS; round++) {
    let spent = 0
    for (; ; ops *= 2) {
      spent = time(ops)
      if (spent >= ms / ROUNDS) break
    }
    if (round > 0) ns.push((spent * 1e6) / ops)
  }
  return ns
}

function stopWatch(run: Run): Timed {
  return ops => {
    const start = performance.now()
    sink = run(ops)
    return performance.now() - start
  }
}

/** Where results go, so that they count as used. */
export let sink = 0

function repeat(ops: number, operation: (i: number) => number): number {
  let result = 0
  for (let i = 0; i < ops; i++) result ^= operation(i)
  return result
}

const COPY_BYTES = 4 << 20

/** From memory that is not in the first cache to some that is, as frames are taken from a peer. */
function copyOf(len: number, copy: Region['copy']): Run {
  const half = COPY_BYTES >> 1
  return ops =>
    repeat(ops, i => {
      const from = (i * 2048) & (half - 1)
      copy(half + (i & 63) * 1536, from, len)
      return from
    })
}

const regionCopy = (): Region['copy'] => new Region(COPY_BYTES).copy

function copyWithin(buffer: SharedArrayBuffer | ArrayBuffer): Region['copy'] {
  const bytes = new Uint8Array(buffer)
  return (to, from, len) => bytes.copyWithin(to, from, from + len)
}

function sumOf(len: number): Run {
  const { view, bytes } = new Region(65536)
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) & 255
  return ops => repeat(ops, i => checksum.sum(view, (i & 15) * 2048, len))
}

/** A server with an open connection on a memory link. */
async function openConnection(): Promise<{ tcp: Tcp; c: number }> {
  const pair = new Pair({ content: await oneObject(1000), kind: 'template', close: false })
  pair.take(10)
  const { tcp } = pair.server.stack
  const c = tcp.tcb.findIndex((_, i) => i % tcb.TCB_STRIDE === 0 && tcp.tcb[i + tcb.STATE] !== 0)
  return { tcp, c }
}

function beginHeaders({ tcp, c }: { tcp: Tcp; c: number }): Run {
  return ops =>
    repeat(ops, i => {
      tcp.headers.begin(c, i)
      return tcp.headers.len
    })
}

function headers({ tcp, c }: { tcp: Tcp; c: number }, write: 'patch' | 'write'): Run {
  // As many frames as 64 clients have under way: the headers do not all lie in the first cache.
  const offs = Int32Array.from({ length: 1024 }, () => tcp.frames.payloadOff(tcp.frames.alloc()))
  tcp.headers.begin(c, 0)
  return ops => repeat(ops, i => tcp.headers[write](offs[i & 1023], i, 1428, 0x1234))
}

/** A table with `count` connections, and their addresses and ports in another order. */
async function tableOf(count: number): Promise<{ tcp: Tcp; handles: Int32Array }> {
  const pair = new Pair({
    content: await oneObject(0),
    kind: 'copy',
    close: false,
    maxConnections: Math.max(1024, count),
  })
  const { tcp } = pair.server.stack
  const handles = Int32Array.from({ length: count }, (_, i) => {
    const c = tcp.pool.alloc()
    tcp.tcb[c + tcb.REMOTE] = 0x0a010000 + (i >> 6)
    tcp.tcb[c + tcb.PORTS] = ((1024 + (i & 63)) << 16) | 80
    tcp.table.insert(c)
    return c
  })
  // A walk through all of them that no prefetcher foresees: the step is prime.
  return { tcp, handles: handles.map((_, i) => handles[(i * 7919) % count]) }
}

function lookUp({ tcp, handles }: { tcp: Tcp; handles: Int32Array }): Run {
  const { table, tcb: fields } = tcp
  const mask = handles.length
  let at = 0
  return ops =>
    repeat(ops, () => {
      at = at + 1 === mask ? 0 : at + 1
      const c = handles[at]
      return table.find4(fields[c + tcb.REMOTE], 0, fields[c + tcb.PORTS])
    })
}

function makeCookies({ tcp: { cookies } }: { tcp: Tcp }): Run {
  return ops => repeat(ops, i => cookies.make(i, 1, 2, 3, 1460, COOKIE_OPTIONS))
}

/** Cookies of as many peers, good ones, or forged ones: with other bits. */
function checkCookies({ tcp: { cookies } }: { tcp: Tcp }, forged: number): Run {
  const given = Int32Array.from(
    { length: 1024 },
    (_, i) => cookies.make(i, 1, 2, 3, 1460, COOKIE_OPTIONS) ^ forged,
  )
  const check = (i: number): number =>
    cookies.check(i & 1023, 1, 2, 3, given[i & 1023], COOKIE_OPTIONS)
  assert(
    given.every((_, i) => check(i) === (forged === 0 ? 1460 : NO_COOKIE)),
    'as they should be',
  )
  return ops => repeat(ops, check)
}

async function nextRequest(): Promise<Run> {
  const machine = new HttpMachine(await oneObject(1000))
  const request = new TextEncoder().encode(
    'GET /object HTTP/1.1\r\nHost: 10.77.0.2\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n' +
      'Accept: */*\r\nAccept-Encoding: gzip, br\r\nConnection: keep-alive\r\n\r\n',
  )
  const bytes = new Region(4096).bytes
  bytes.set(request)
  return ops => repeat(ops, () => machine.next(bytes, 0, request.length, 0) ^ machine.image)
}

/** A frame from the pool into the ring, out at the other end, and back. */
function sendFrames(): Run {
  const region = new Region(8 << 20)
  const [a, b] = memoryLink({ region })
  const frames = new FramePool(region, 1024)
  return ops => {
    for (let i = 0; i < ops; i += 32) {
      for (let n = 0; n < 32; n++) {
        const frame = frames.alloc()
        frames.sent(frame)
        a.push(frames.payloadOff(frame), 1500, 0)
      }
      a.flush()
      b.rx()
      b.rx()
      const done = a.reclaim()
      for (let n = 0; n < done; n++) frames.complete(a.doneOff[n])
    }
    return frames.freeCount
  }
}

/**
 * A flow in congestion avoidance, with a loss now and then so that its window stays one of many.
 */
function cubicAcks(): Run {
  const { CWND, MSS, SRTT_US, SSTHRESH, TCB_STRIDE } = tcb
  const cc = new Cubic()
  const fields = new Int32Array(TCB_STRIDE)
  fields[MSS] = 1460
  fields[SRTT_US] = 50_000
  cc.onOpen(fields, 0, false)
  fields[CWND] = 1000 * 1460
  let nowUs = 0
  return ops =>
    repeat(ops, i => {
      if ((i & 0xffff) === 0) {
        cc.onLoss(fields, 0, fields[CWND])
        fields[CWND] = fields[SSTHRESH]
      }
      nowUs = (nowUs + 100) | 0
      cc.onAck(fields, 0, 2920, fields[CWND], 50_000, nowUs)
      return fields[CWND]
    })
}

/** An ACK of two segments, which lets two more out. */
function steadyAcks(offer: Offer): Timed {
  const run = new StackRun(offer, WINDOW_SEGMENTS)
  return timed(run, CONNECTIONS, () => {
    run.turn(2, 0)
    assert(run.stack.tcp.stats.retransSegs === 0, 'nothing is lost')
  })
}

/** A lost segment: ACKs with a growing block, one after the other, until one acknowledges all. */
function sackedAcks(): Timed {
  const run = new StackRun('sack', WINDOW_SEGMENTS)
  return timed(run, CONNECTIONS * WINDOW_SEGMENTS, () => {
    for (let sacked = 1; sacked < WINDOW_SEGMENTS; sacked++) run.turn(0, sacked)
    run.turn(-1, 0)
  })
}

/**
 * Silence until every connection has sent its segment again, and two ACKs: the second gives the
 * round trip that ends the back-off (RFC 6298 §5).
 */
function timeOuts(): Timed {
  const run = new StackRun('nothing', 1)
  const { stats } = run.stack.tcp
  return timed(run, CONNECTIONS, () => {
    const before = stats.timeouts
    for (let polls = 0; stats.timeouts < before + CONNECTIONS; polls++) {
      assert(polls < 10, 'silence leads to time-outs')
      run.poll(1_000_000)
    }
    run.turn(-1, 0)
    run.turn(-1, 0)
  })
}

type Counter = 'syncookiesSent' | 'syncookiesFailed' | 'syncookiesRecv'

/**
 * Segments for a listener whose SYN table is full; `counters` tell that each was what it should be.
 * (Of made-up cookies one in 2^28 is right, and a run has millions.)
 */
async function whileFull(flags: number, counters: readonly Counter[]): Promise<Timed> {
  const run = new CookieRun(await oneObject(0))
  const { stats } = run.server.stack.tcp
  const count = (): number => counters.reduce((sum, name) => sum + stats[name], 0)
  return timed(run, BATCH_MAX, () => {
    const before = count()
    run.turn(flags)
    assert(count() === before + BATCH_MAX, 'every segment is a matter of cookies')
  })
}

/** Times `turn`, which does `each` operations, as often as it takes, in the stack's own time. */
function timed(run: { readonly ms: number }, each: number, turn: () => void): Timed {
  return ops => {
    const before = run.ms
    const turns = Math.ceil(ops / each)
    for (let i = 0; i < turns; i++) turn()
    return ((run.ms - before) * ops) / (turns * each)
  }
}
