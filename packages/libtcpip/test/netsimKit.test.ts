/** The simulator itself: its clock, its link, its receiver, its figures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACK, SYN } from './kit/segment.ts'
import { Blocks } from './netsim/blocks.ts'
import { Events, Timer } from './netsim/events.ts'
import { Link, type LinkOptions } from './netsim/link.ts'
import type { Packet } from './netsim/packet.ts'
import { Receiver, type ReceiverOptions } from './netsim/receiver.ts'
import { jainIndex, Simulation, simulate } from './netsim/run.ts'

// The clock

test('events run in order of time, those of one moment as they were planned', () => {
  const events = new Events(0)
  const seen: string[] = []
  for (const [at, name] of [
    [30, 'd'],
    [10, 'a'],
    [20, 'b'],
    [20, 'c'],
  ] as const) {
    events.at(at, () => seen.push(`${name} ${events.nowUs}`))
  }
  while (events.step(25));
  assert.deepEqual(seen, ['a 10', 'b 20', 'c 20'])
  assert.equal(events.step(), true)
  assert.equal(events.step(), false)
})

test('a timer runs once, at the deadline that was set last', () => {
  const events = new Events(0)
  const seen: number[] = []
  const timer = new Timer(events, () => seen.push(events.nowUs))
  timer.set(50)
  timer.set(20)
  timer.set(40)
  while (events.step());
  timer.set(60)
  timer.clear()
  while (events.step());
  assert.deepEqual(seen, [40])
})

// The link

/** Sends `count` packets of 1250 bytes every `everyUs`; answers `number@arrival`. */
function arrivals(
  options: Partial<LinkOptions>,
  count: number,
  everyUs = 0,
  script: (link: Link<number>) => void = () => {},
): string[] {
  const events = new Events(0)
  const seen: string[] = []
  const link = new Link<number>(events, options, (n, isCopy) =>
    seen.push(`${n}${isCopy ? ' again' : ''}@${events.nowUs}`),
  )
  script(link)
  for (let n = 0; n < count; n++) events.at(n * everyUs, () => link.send(n, 1250))
  while (events.step());
  return seen
}

test('a link takes the time of its rate and its delay', () => {
  const options = { bytesPerSecond: 1_250_000, delayUs: 10_000 }
  assert.deepEqual(arrivals(options, 3), ['0@11000', '1@12000', '2@13000'])
  assert.deepEqual(arrivals({ delayUs: 10_000 }, 2), ['0@10000', '1@10000'])
})

test('a full queue drops what comes last, and empties at the rate of the link', () => {
  const options = { bytesPerSecond: 1_250_000, queueBytes: 2500 }
  assert.deepEqual(arrivals(options, 4), ['0@1000', '1@2000'])
  assert.equal(arrivals(options, 4, 1000).length, 4)
})

test('loss has the probability that it is said to have; the same seed loses the same', () => {
  const lossy = (seed: number): string[] => arrivals({ loss: 0.1, seed }, 20_000)
  for (const seed of [1, 2, 3]) {
    const share = 1 - lossy(seed).length / 20_000
    assert.ok(Math.abs(share - 0.1) < 0.008, `${share}`)
  }
  assert.deepEqual(lossy(7), lossy(7))
  assert.notDeepEqual(lossy(7), lossy(8))
})

test('a script chooses what is lost, and when packets are late', () => {
  const drop = (link: Link<number>): void => {
    link.drop = (packet, index) => packet === 1 || index === 2
  }
  assert.deepEqual(arrivals({}, 4, 10, drop), ['0@0', '3@30'])
  const late = (link: Link<number>): void => {
    link.drop = (_, index) => {
      link.extraUs = index === 1 ? 15 : 0
      return false
    }
  }
  assert.deepEqual(arrivals({ delayUs: 5 }, 4, 10, late), ['0@5', '1@30', '2@30', '3@35'])
})

test('duplicates say so', () => {
  assert.deepEqual(arrivals({ dup: 1 }, 2), ['0@0', '0 again@0', '1@0', '1 again@0'])
})

test('a reordered packet is late, jitter keeps the order', () => {
  const swapped = arrivals({ reorder: 0.2, reorderUs: 25, seed: 5 }, 200, 10)
  const numbers = swapped.map(text => Number.parseInt(text, 10))
  assert.notDeepEqual(
    numbers,
    [...numbers].sort((a, b) => a - b),
  )
  for (const text of swapped) {
    const [n, at] = text.split('@').map(Number)
    assert.ok(at === n * 10 || at === n * 10 + 25, text)
  }
  const late = arrivals({ jitterUs: 100, delayUs: 50 }, 200, 10)
  assert.deepEqual(
    late.map(text => Number.parseInt(text, 10)),
    Array.from({ length: 200 }, (_, n) => n),
  )
  assert.ok(new Set(late.map((text, n) => Number(text.split('@')[1]) - 10 * n)).size > 20)
})

// The receiver

class Client {
  readonly events = new Events(0)
  readonly sent: Packet[] = []
  readonly receiver: Receiver

  /** After the handshake; the server granted `grants`. */
  constructor(options: Partial<ReceiverOptions> = {}, grants: Partial<Packet> = {}) {
    this.receiver = new Receiver(this.events, options, 1, packet => this.sent.push(packet))
    this.receiver.connect()
    const agreed = { windowScale: 0, sackPermitted: true, timestamps: true }
    this.arrive({ flags: SYN | ACK, seq: 0, ack: 1, ...agreed, ...grants })
    this.sent.length = 0
  }

  arrive(packet: Partial<Packet>, isCopy = false): void {
    const timestamps = this.receiver.timestampsOn
    const rest = { mss: 0, windowScale: -1, sackPermitted: false, tsVal: 100, tsEcr: 0, sack: [] }
    this.receiver.receive(
      { port: 1, flags: ACK, seq: 1, ack: 5, len: 0, window: 0, timestamps, ...rest, ...packet },
      isCopy,
    )
  }

  /** Segment `n` of 1000 bytes, from 0; answers the ACK that it brings at once. */
  data(n: number, more: Partial<Packet> = {}): string {
    this.sent.length = 0
    this.arrive({ seq: 1 + 1000 * n, len: 1000, ...more })
    return this.told
  }

  wait(us: number): string {
    this.sent.length = 0
    const untilUs = this.events.nowUs + us
    while (this.events.step(untilUs));
    this.events.nowUs = untilUs
    return this.told
  }

  /** What was said last: `ack 2 sack 4-6 8-9`, in segments. */
  get told(): string {
    const last = this.sent.at(-1)
    if (last === undefined) return ''
    const segment = (seq: number): number => (seq - 1) / 1000
    const blocks = last.sack.map(({ from, end }) => ` ${segment(from)}-${segment(end)}`).join('')
    return `ack ${segment(last.ack)}${blocks === '' ? '' : ` sack${blocks}`}`
  }
}

test('the handshake offers what the options say', () => {
  const sent: Packet[] = []
  new Receiver(new Events(0), { buffer: 1_000_000 }, 1, packet => sent.push(packet)).connect()
  const { flags, mss, windowScale, sackPermitted, timestamps, window } = sent[0]
  assert.deepEqual(
    { flags, mss, windowScale, sackPermitted, timestamps, window },
    { flags: SYN, mss: 1460, windowScale: 4, sackPermitted: true, timestamps: true, window: 65535 },
  )
})

test('ACKs are delayed by 40 ms, and sent at once with the second segment', () => {
  const client = new Client()
  assert.equal(client.data(0), '')
  assert.equal(client.wait(39_999), '')
  assert.equal(client.wait(1), 'ack 1')
  assert.equal(client.data(1), '')
  assert.equal(client.data(2), 'ack 3')
  assert.equal(client.wait(100_000), '')
})

test('the first SACK block is the one that has just changed (RFC 2018 §4)', () => {
  const client = new Client()
  assert.equal(client.data(2), 'ack 0 sack 2-3')
  assert.equal(client.data(6), 'ack 0 sack 6-7 2-3')
  assert.equal(client.data(4), 'ack 0 sack 4-5 6-7 2-3')
  assert.equal(client.data(8), 'ack 0 sack 8-9 4-5 6-7')
  assert.equal(client.data(3), 'ack 0 sack 2-5 8-9 6-7')
  assert.equal(client.data(0), 'ack 1 sack 2-5 8-9 6-7')
  assert.equal(client.data(1), 'ack 5 sack 8-9 6-7')
  assert.equal(client.data(5), 'ack 7 sack 8-9')
  assert.equal(client.data(7), 'ack 9')
})

test('four blocks without timestamps, none without SACK', () => {
  const plain = new Client({}, { timestamps: false })
  for (const n of [2, 4, 6]) plain.data(n)
  assert.equal(plain.data(8), 'ack 0 sack 8-9 6-7 4-5 2-3')
  assert.equal(new Client({}, { sackPermitted: false }).data(2), 'ack 0')
})

test('what comes twice is told first (RFC 2883), and counted unless the network made it', () => {
  const client = new Client()
  client.data(0)
  assert.equal(client.data(0), 'ack 1 sack 0-1')
  client.data(3)
  assert.equal(client.data(3), 'ack 1 sack 3-4 3-4')
  assert.equal(client.receiver.spurious, 2)
  client.arrive({ seq: 1, len: 1000 }, true)
  assert.equal(client.receiver.spurious, 2)
  assert.equal(client.data(0, { len: 2000 }), 'ack 2 sack 0-1 3-4')
})

test('the window shrinks with what is not read, its edge stays, and it is told when it opens', () => {
  const client = new Client({ buffer: 4000, readBytesPerSecond: 10_000 })
  client.data(0)
  client.data(1)
  assert.equal(client.sent[0].window, 2000)
  client.data(2)
  client.data(3)
  assert.equal(client.sent[0].window, 0)
  assert.equal(client.receiver.rightEdge, 4001)
  client.wait(250_000)
  assert.ok(client.sent.length > 0 && client.sent.every(packet => packet.window >= 1460))
})

test('a timestamp is taken over in order, and an old one is refused (RFC 7323)', () => {
  const client = new Client()
  client.data(0, { tsVal: 200 })
  client.data(1, { tsVal: 201 })
  assert.equal(client.sent[0].tsEcr, 200, 'the earliest segment that the ACK covers')
  client.data(3, { tsVal: 300 })
  assert.equal(client.sent[0].tsEcr, 200, 'not from beyond a gap')
  assert.equal(client.data(2, { tsVal: 150 }), 'ack 2 sack 3-4')
  assert.equal(client.receiver.outdated, 1)
})

test('blocks that touch become one', () => {
  const blocks = new Blocks()
  for (const [from, end] of [
    [10, 20],
    [30, 40],
    [20, 30],
  ]) {
    blocks.add(from, end)
  }
  assert.deepEqual(blocks.list, [{ from: 10, end: 40 }])
  assert.equal(blocks.advance(5), 5)
  assert.equal(blocks.advance(15), 40)
  assert.deepEqual(blocks.list, [])
})

// All together

test('without loss the window fills the round trip', () => {
  const link = { delayUs: 50_000 }
  const flows = [{ bytes: 20_000_000, buffer: 32 * 1024 }]
  const { goodput } = simulate({ forward: link, back: link, flows })
  assert.ok(goodput < 327_680 && goodput > 300_000, `${goodput}`)
})

test('a narrow link gives its rate, less the headers', () => {
  const link = { delayUs: 10_000, bytesPerSecond: 1_250_000, queueBytes: 100_000 }
  const flows = [{ bytes: 10_000_000, buffer: 100_000 }]
  const { goodput } = simulate({ forward: link, back: link, flows })
  assert.ok(goodput < (1_250_000 * 1460) / 1514 && goodput > 1_100_000, `${goodput}`)
})

test('the same seed brings the same run, another one another', () => {
  const run = (seed: number): object =>
    simulate({ forward: { delayUs: 5000, loss: 0.05 }, flows: [{ bytes: 1e6 }], seed })
  assert.deepEqual(run(3), run(3))
  assert.notDeepEqual(run(3), run(4))
})

test('a lost segment is one retransmission, and none needless', () => {
  const simulation = new Simulation({ forward: { delayUs: 5000 }, back: { delayUs: 5000 } })
  let count = 0
  simulation.forward.drop = packet => packet.len > 0 && ++count === 20
  const { retransmissions, spurious, segments } = simulation.run()
  assert.equal(retransmissions, 1)
  assert.equal(spurious, 0)
  assert.equal(segments, simulation.forward.stats.sent - 1, 'all but the SYN-ACK are data')
})

test("Jain's index is 1 for equals and 1/n for one that takes all", () => {
  assert.equal(jainIndex([5, 5, 5, 5]), 1)
  assert.equal(jainIndex([7, 0, 0, 0]), 0.25)
})
