/** Byte streams on two stacks of ours, back to back: their API, and frames by `trace`. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Device,
  FaultDevice,
  faultRegionBytes,
  NO_FAULTS,
  Region,
  TraceDevice,
} from '@sandstorm/libnmio'
import {
  ending,
  formatFrame,
  runLoop,
  type Stream,
  type StreamHandler,
  Streams,
  type StreamsOptions,
  streamsRegionBytes,
} from '../src/index.ts'
import { Pair, type PairOptions } from './kit/pair.ts'
import { patternByte } from './kit/patternApp.ts'
import { Random } from './kit/random.ts'

interface Options extends PairOptions, Partial<StreamsOptions> {}

/** Two stacks with streams; what the first one sends and receives is in `lines`. */
class Bench {
  readonly pair: Pair<Streams>
  lines: string[] = []

  constructor(options: Options = {}) {
    const streams = { maxStreams: 8, sendBytes: 16384, receiveBytes: 16384, ...options }
    const trace = (device: Device, clock: () => number): Device =>
      new TraceDevice(options.wrap?.(device, clock) ?? device, {
        format: formatFrame,
        write: line => this.lines.push(line),
        clock,
      })
    this.pair = new Pair(region => new Streams(region, streams), {
      ...options,
      tcp: { ...options.tcp, maxConnections: 8, receiveWindow: streams.receiveBytes },
      regionBytes: 2 * streamsRegionBytes(streams) + faultRegionBytes(1500),
      wrap: trace,
    })
    this.pair.appA.attach(this.pair.a)
    this.pair.appB.attach(this.pair.b)
  }

  /** Payload lengths of the segments that the first stack has sent. */
  sent(): number[] {
    const data = this.lines.filter(line => /> 10\.0\.0\.2\.\d+: .*length [1-9]\d*$/.test(line))
    return data.map(line => Number(/length (\d+)$/.exec(line)?.[1]))
  }
}

const text = (s: string): Uint8Array => new TextEncoder().encode(s)

/** All that can be read now, as text. */
function readText(stream: Stream): string {
  const into = new Uint8Array(stream.readable)
  stream.read(into)
  return new TextDecoder().decode(into)
}

/** A handler that notes what it hears; what `more` does comes behind. */
function noting(events: string[], more: StreamHandler = {}): StreamHandler {
  return {
    onConnect: stream => {
      events.push('connect')
      more.onConnect?.(stream)
    },
    onData: stream => {
      if (more.onData) more.onData(stream)
      else events.push(`data ${readText(stream)}`)
    },
    onWritable: stream => {
      events.push('writable')
      more.onWritable?.(stream)
    },
    onEnd: stream => {
      events.push('end')
      if (more.onEnd) more.onEnd(stream)
      else stream.shutdown()
    },
    onClose: (stream, why) => {
      events.push(`close: ${ending.ENDING_NAMES[why]}`)
      more.onClose?.(stream, why)
    },
  }
}

/** Connects, and returns both ends. */
function connected(t: Bench, client: StreamHandler = {}, server: StreamHandler = {}) {
  let far: Stream | undefined
  t.pair.appB.listen(7, {
    onConnect: stream => {
      far = stream
      stream.handler = server
      server.onConnect?.(stream)
    },
  })
  const near = t.pair.appA.connect('10.0.0.2', 7, client)
  t.pair.settle()
  for (let i = 0; i < 100 && far === undefined; i++) t.pair.advance(100)
  assert.ok(near && far)
  t.pair.appB.unlisten(7)
  return { near, far }
}

test('a line goes there and back, and both ends hear how it ends', () => {
  const t = new Bench()
  const [a, b]: [string[], string[]] = [[], []]
  t.pair.appB.listen(
    7,
    noting(b, {
      onData: stream => {
        const line = readText(stream)
        b.push(`data ${line}`)
        stream.write(text(line.toUpperCase()))
      },
    }),
  )
  const stream = t.pair.appA.connect(
    '10.0.0.2',
    7,
    noting(a, { onConnect: s => s.write(text('hello')) }),
  )
  assert.equal(stream?.state, 'SYN-SENT')
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'data HELLO'])
  stream?.shutdown()
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'data HELLO', 'end', 'close: finished'])
  assert.deepEqual(b, ['connect', 'data hello', 'end', 'close: finished'])
  assert.equal(stream?.state, 'CLOSED')
  t.pair.advance(60_000)
  t.pair.expectEmpty()
})

test('what is written before the handshake is over leaves with its last ACK', () => {
  const t = new Bench()
  const b: string[] = []
  t.pair.appB.listen(7, noting(b))
  const stream = t.pair.appA.connect('10.0.0.2', 7, {})
  assert.equal(stream?.write(text('early')), 5)
  stream?.shutdown()
  t.pair.settle()
  assert.deepEqual(b, ['connect', 'data early', 'end', 'close: finished'])
  assert.equal(
    t.lines.filter(line => /> 10\.0\.0\.2\.7: Flags/.test(line)).length,
    3,
    'SYN, data, ACK',
  )
})

test('pieces of any size, many times round the rings, both ways at once: all bytes in order', () => {
  for (const faults of [{}, { drop: 0.05, dup: 0.05, reorder: 0.05, delayUs: 2000, seed: 3 }]) {
    const random = new Random(5)
    const t = new Bench({
      sendBytes: 4096,
      receiveBytes: 8192,
      wrap: (device, clock) => new FaultDevice(device, { ...NO_FAULTS, ...faults }, { clock }),
    })
    const TOTAL = 200_000
    const counts = [0, 0, 0, 0] // written and read, here and there
    const buffer = new Uint8Array(5000)
    const take = (stream: Stream, r: number, most: number): void => {
      const count = stream.read(buffer, 3, most)
      for (let i = 0; i < count; i++) {
        if (buffer[3 + i] !== patternByte(counts[r] + i)) assert.fail(`byte ${counts[r] + i}`)
      }
      counts[r] += count
    }
    const pump = (stream: Stream, w: number, r: number): void => {
      for (let n = random.below(4); n > 0 && counts[w] < TOTAL; n--) {
        const len = Math.min(random.below(3000), TOTAL - counts[w])
        for (let i = 0; i < len; i++) buffer[7 + i] = patternByte(counts[w] + i)
        counts[w] += stream.write(buffer, 7, len)
      }
      if (counts[w] === TOTAL) stream.shutdown()
      take(stream, r, random.below(4000))
    }
    const closed: number[] = []
    const reading = (r: number): StreamHandler => ({
      onEnd: () => {},
      onClose: (stream, why) => {
        while (stream.readable > 0) take(stream, r, 4000)
        closed.push(why)
      },
    })
    const { near, far } = connected(t, reading(3), reading(1))
    for (let turn = 0; turn < 20_000 && (counts[1] < TOTAL || counts[3] < TOTAL); turn++) {
      pump(near, 0, 3)
      pump(far, 2, 1)
      t.pair.advance(1)
    }
    assert.deepEqual(counts, [TOTAL, TOTAL, TOTAL, TOTAL])
    t.pair.advance(5000)
    assert.deepEqual(closed, [ending.FINISHED, ending.FINISHED])
  }
})

test('a full ring takes no more, and onWritable says when half of it is free', () => {
  const t = new Bench()
  const a: string[] = []
  const { near, far } = connected(t, noting(a), { onData: () => {} })
  const bytes = new Uint8Array(100_000)
  assert.equal(near.writable, 16384)
  assert.equal(near.write(bytes), 16384)
  assert.equal(near.writable, 0)
  assert.equal(near.write(bytes), 0)
  t.pair.settle()
  assert.equal(far.readable, 16384, 'the ring there is full as well')
  assert.deepEqual(a, ['connect', 'writable'])
  assert.equal(near.write(bytes), 16384)
  t.pair.advance(300)
  assert.deepEqual(a, ['connect', 'writable'], 'there is no room anywhere')
  assert.equal(near.write(bytes), 0)
  const into = new Uint8Array(16384)
  assert.equal(far.read(into), 16384)
  t.pair.settle()
  assert.equal(far.readable, 16384, 'the window has opened')
  assert.deepEqual(a, ['connect', 'writable', 'writable'])
})

test('a reader that takes crumbs opens no silly windows', () => {
  const t = new Bench()
  const { near, far } = connected(t, {}, { onData: () => {} })
  near.write(new Uint8Array(16384))
  t.pair.settle()
  near.write(new Uint8Array(16384))
  t.lines = []
  const into = new Uint8Array(100)
  for (let i = 0; i < 14; i++) {
    assert.equal(far.read(into), 100)
    t.pair.settle()
  }
  assert.deepEqual(t.sent(), [])
  far.read(into)
  t.pair.settle()
  assert.deepEqual(t.sent(), [1448], 'a whole segment fits')
})

test('half-close: the other side goes on until it is done', () => {
  const t = new Bench()
  const [a, b]: [string[], string[]] = [[], []]
  const { near, far } = connected(t, noting(a), noting(b, { onEnd: () => {} }))
  near.shutdown()
  assert.equal(near.write(text('x')), 0)
  t.pair.settle()
  assert.deepEqual(b, ['connect', 'end'])
  assert.equal(far.hasEnded, true)
  assert.equal(near.state, 'FIN-WAIT-2')
  far.write(text('still here'))
  t.pair.advance(30_000)
  assert.deepEqual(a, ['connect', 'data still here'])
  far.shutdown()
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'data still here', 'end', 'close: finished'])
})

test('without onEnd a stream shuts down when its peer does', () => {
  const t = new Bench()
  const a: string[] = []
  const { near } = connected(t, noting(a), {})
  near.shutdown()
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'end', 'close: finished'])
})

test('what is unread at the end can be read in onClose', () => {
  const t = new Bench()
  let last = ''
  const { near, far } = connected(t, {
    onData: () => {},
    onEnd: () => {},
    onClose: stream => {
      last = readText(stream)
    },
  })
  near.shutdown()
  far.write(text('last words'))
  far.shutdown()
  t.pair.settle()
  assert.equal(last, 'last words')
  assert.equal(near.readable, 0)
})

test('close with bytes unread resets; so do bytes that come after it (RFC 9293 §3.6.1)', () => {
  const t = new Bench()
  const [a, b]: [string[], string[]] = [[], []]
  const one = connected(t, noting(a), noting(b, { onData: () => {} }))
  one.near.write(text('unread'))
  t.pair.settle()
  one.far.close()
  assert.deepEqual(b, ['connect', 'close: aborted'])
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'close: reset'])

  const [c, d]: [string[], string[]] = [[], []]
  const two = connected(t, noting(c), noting(d))
  two.far.write(text('bye'))
  two.far.close()
  t.pair.settle()
  assert.deepEqual(c, ['connect', 'data bye', 'end', 'close: finished'])
  assert.deepEqual(d, ['connect', 'close: finished'], 'who closes hears of nothing but the end')

  const [e, f]: [string[], string[]] = [[], []]
  const three = connected(t, noting(e, { onEnd: () => {} }), noting(f))
  three.far.close()
  t.pair.settle()
  three.near.write(text('too late'))
  t.pair.settle()
  assert.deepEqual(e, ['connect', 'end', 'close: reset'])
  assert.deepEqual(f, ['connect', 'close: aborted'])
})

test('abort resets, and nothing can be done with the stream afterwards', () => {
  const t = new Bench()
  const [a, b]: [string[], string[]] = [[], []]
  const { near } = connected(t, noting(a), noting(b))
  near.abort()
  assert.deepEqual(a, ['connect', 'close: aborted'])
  near.abort()
  near.close()
  near.shutdown()
  near.setTimer(1)
  near.setKeepAlive(true)
  near.setUserTimeout(5)
  assert.equal(near.write(text('x')), 0)
  assert.equal(near.read(new Uint8Array(1)), 0)
  assert.equal(near.srttUs + near.cwnd, 0)
  t.pair.settle()
  assert.deepEqual(b, ['connect', 'close: reset'])
  assert.deepEqual(a, ['connect', 'close: aborted'])
  t.pair.expectEmpty()
})

test('nobody listens, nobody answers, nowhere to go', () => {
  const t = new Bench({ tcp: { maxSynRetries: 1 } })
  const a: string[] = []
  t.pair.appA.connect('10.0.0.2', 9, noting(a))
  t.pair.settle()
  assert.deepEqual(a, ['close: reset'])
  t.pair.appA.connect('10.0.0.77', 9, noting(a))
  t.pair.advance(4000)
  assert.deepEqual(a, ['close: reset', 'close: timed out'])
  const given = t.pair.appA.connect('10.0.0.77', 9, noting(a))
  given?.close()
  assert.deepEqual(a.slice(2), ['close: aborted'])
  for (const address of ['10.0.0.1', '10.0.0.255', '10.9.9.9', 'fd77::1']) {
    assert.equal(t.pair.appA.connect(address, 9, {}), undefined, address)
  }
  assert.throws(() => t.pair.appA.connect('10.0.0', 9, {}), /10\.0\.0/)
  assert.throws(() => t.pair.appA.connect('fd77:::', 9, {}), /fd77/)
  t.pair.expectEmpty()
})

test('unlisten between SYN and ACK resets', () => {
  const t = new Bench()
  t.pair.appB.listen(7, {})
  const a: string[] = []
  t.pair.appA.connect('10.0.0.2', 7, noting(a))
  for (let i = 0; i < 100 && t.pair.b.tcp.halfOpen === 0; i++) {
    t.pair.nowUs += 10
    t.pair.a.poll(t.pair.nowUs)
    t.pair.b.poll(t.pair.nowUs)
  }
  assert.equal(t.pair.b.tcp.halfOpen, 1)
  t.pair.appB.unlisten(7)
  t.pair.settle()
  assert.deepEqual(a, ['connect', 'close: reset'])
  t.pair.expectEmpty()
})

test('Nagle: a short segment waits for the ACK of what is in front of it, unless noDelay', () => {
  for (const noDelay of [false, true]) {
    const t = new Bench()
    const { near } = connected(t, {}, { onData: s => void readText(s) })
    near.noDelay = noDelay
    t.lines = []
    for (let i = 0; i < 10; i++) near.write(new Uint8Array(10))
    t.pair.settle()
    assert.deepEqual(t.sent(), [100], 'one pass, one segment')
    t.lines = []
    for (let i = 0; i < 4; i++) {
      near.write(new Uint8Array(10))
      t.pair.a.poll(t.pair.nowUs) // before any ACK can come
    }
    t.pair.settle()
    assert.deepEqual(t.sent(), noDelay ? [10, 10, 10, 10] : [10, 30])
    t.lines = []
    near.write(new Uint8Array(3000))
    t.pair.a.poll(t.pair.nowUs)
    assert.deepEqual(t.sent(), noDelay ? [1448, 1448, 104] : [1448, 1448])
    near.shutdown()
    t.pair.a.poll(t.pair.nowUs)
    assert.deepEqual(t.sent(), [1448, 1448, 104], 'nothing more can come')
  }
})

test('PSH is on the last segment of what was written, not before', () => {
  const t = new Bench()
  const { near } = connected(t)
  near.noDelay = true
  t.lines = []
  near.write(new Uint8Array(4000))
  t.pair.settle()
  const flags = t.lines.map(line => /> 10\.0\.0\.2\.7: Flags \[(\S+)\]/.exec(line)?.[1])
  assert.deepEqual(flags.filter(Boolean), ['.', '.', 'P.'])
})

test('both ends know who talks to whom', () => {
  const t = new Bench()
  const { near, far } = connected(t)
  assert.equal(near.localAddress, '10.0.0.1')
  assert.equal(near.remoteAddress, '10.0.0.2')
  assert.equal(near.remotePort, 7)
  assert.equal(far.localPort, 7)
  assert.equal(far.remoteAddress, '10.0.0.1')
  assert.equal(far.remotePort, near.localPort)
  assert.equal(near.state, 'ESTABLISHED')
  assert.ok(near.srttUs > 0 && near.cwnd >= 10 * 1448)
  near.abort()
  assert.equal(near.remoteAddress, '10.0.0.2', 'afterwards, too')
})

test('a timer of the application, a user time-out and keep-alives', () => {
  const t = new Bench({
    tcp: { keepAliveIdleMs: 1000, keepAliveIntervalMs: 100, keepAliveCount: 2 },
  })
  const a: string[] = []
  const handler = noting(a)
  handler.onTimer = () => a.push('timer')
  const { near } = connected(t, handler)
  near.setTimer(500)
  t.pair.advance(499)
  assert.deepEqual(a, ['connect'])
  t.pair.advance(2)
  assert.deepEqual(a, ['connect', 'timer'])
  near.setTimer(500)
  near.setTimer(0)
  t.pair.advance(600)
  assert.deepEqual(a, ['connect', 'timer'])
  // From here on the peer is silent.
  const alone = (ms: number): void => {
    for (let i = 0; i < ms; i += 10) {
      t.pair.nowUs += 10_000
      t.pair.a.poll(t.pair.nowUs)
    }
  }
  near.setUserTimeout(3000)
  near.write(text('anybody?'))
  alone(2500)
  assert.equal(near.state, 'ESTABLISHED')
  alone(1000)
  assert.deepEqual(a, ['connect', 'timer', 'close: timed out'])
  const b: string[] = []
  const other = connected(t, noting(b)).near
  other.setKeepAlive(true)
  alone(1100)
  assert.equal(other.state, 'ESTABLISHED')
  alone(200)
  assert.deepEqual(b, ['connect', 'close: timed out'])
})

test('a new connection may be opened in the event that ended one', () => {
  const t = new Bench({ maxStreams: 8 })
  const order: string[] = []
  const again: StreamHandler = {
    onConnect: stream => stream.abort(),
    onClose: () => {
      order.push('closed')
      if (order.length < 20) assert.ok(t.pair.appA.connect('10.0.0.2', 7, again))
    },
  }
  t.pair.appB.listen(7, {})
  t.pair.appA.connect('10.0.0.2', 7, again)
  t.pair.settle()
  assert.equal(order.length, 20)
  t.pair.expectEmpty()
})

test('no more streams than there is room for', () => {
  const t = new Bench()
  t.pair.appB.listen(7, {})
  const streams = Array.from({ length: 9 }, () => t.pair.appA.connect('10.0.0.2', 7, {}))
  assert.equal(streams.filter(Boolean).length, 8)
  t.pair.settle()
  assert.equal(streams.filter(stream => stream?.state === 'ESTABLISHED').length, 8)
})

test('misuse is told at once', () => {
  const t = new Bench()
  const { near } = connected(t)
  assert.throws(() => near.write(new Uint8Array(3), 2, 2), /array/)
  assert.throws(() => near.read(new Uint8Array(3), -1), /array/)
  assert.throws(() => new Streams(new Region(1 << 20), { maxStreams: 1, sendBytes: 1000 }), /power/)
  for (const maxStreams of [0, -1, 1.5, Number.NaN])
    assert.throws(() => new Streams(new Region(1 << 20), { maxStreams }), /maxStreams/)
  const other = new Streams(new Region(1 << 20), { maxStreams: 1 })
  assert.throws(() => other.attach(t.pair.a), /tcpConfig/)
})

test('what is no bytes is told at once, and writes none', () => {
  const t = new Bench()
  const { near } = connected(t)
  const room = near.writable
  const none: unknown[] = ['text', new Float64Array(3), new DataView(new ArrayBuffer(3)), [1, 2]]
  for (const wrong of none as Uint8Array[]) {
    assert.throws(() => near.write(wrong), /array/)
    assert.throws(() => near.read(wrong), /array/)
  }
  assert.throws(() => near.write(new Uint8Array(3), 0, 1.5), /array/)
  assert.throws(() => near.write(new Uint8Array(3), 0, Number.NaN), /array/)
  assert.equal(near.writable, room)
})

test('streams and stack that do not belong together are told at once', () => {
  const t = new Bench()
  const { a, appA } = t.pair
  const options = { maxStreams: 8, sendBytes: 16384, receiveBytes: 16384 }
  const foreign = new Streams(new Region(1 << 20), options)
  assert.throws(() => foreign.listen(7, {}), /attach/)
  assert.throws(() => foreign.connect('10.0.0.2', 7, {}), /attach/)
  assert.throws(() => foreign.attach(a), /application/)
  assert.throws(() => appA.attach(a), /once/)
  const elsewhere: Streams[] = []
  const make = (): Streams => {
    const streams = new Streams(new Region(1 << 20), options)
    elsewhere.push(streams)
    return streams
  }
  const pair = new Pair(make, { tcp: { maxConnections: 8, receiveWindow: 16384 } })
  assert.throws(() => elsewhere[0].attach(pair.a), /region/)
})

test('a port has one handler until unlisten', () => {
  const t = new Bench()
  const { appB } = t.pair
  appB.listen(7, {})
  assert.throws(() => appB.listen(7, {}), /port/)
  for (const port of [0, 65536, 7.5, Number.NaN]) assert.throws(() => appB.listen(port, {}), /port/)
  appB.unlisten(7)
  appB.listen(7, {})
})

test('the loop polls, waits only when there is nothing to do, and ends when told or when the device is gone', () => {
  const t = new Bench()
  const { device } = t.pair.a
  let turns = 0
  const waits = device.stats.waits
  const tick = (): number => {
    t.pair.nowUs += 10
    return t.pair.nowUs
  }
  assert.equal(
    runLoop(t.pair.a, tick, () => ++turns === 5),
    '',
  )
  assert.equal(device.stats.waits - waits, 4)
  t.pair.b.device.close()
  assert.match(
    runLoop(t.pair.a, tick, () => false),
    /closed/,
  )
})
