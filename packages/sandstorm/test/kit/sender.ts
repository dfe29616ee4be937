/**
 * A transmit strategy under direct control: connections that are really open, but whose sequence
 * numbers, windows and flags are set by the test, so that any frame can be asked for. What was
 * asked is built a second time the slow way (reference/frame.ts); `check` compares all frames that
 * left.
 */
import assert from 'node:assert/strict'
import { state, tcb } from '@sandstorm/libtcpip'
import {
  BODY_LEN,
  CONNECTION_LEN,
  CONNECTION_OFF,
  DATE_LEN,
  DATE_OFF,
  HEAD_LEN,
  HEAD_ROOM,
  IMAGE_OFF,
} from '../../src/content/image.ts'
import { BASE, DATE_SEC, LEN, ready } from '../../src/packetize/answers.ts'
import { LADDER } from '../../src/packetize/layouts.ts'
import { SegmentTransmitter } from '../../src/packetize/segmented.ts'
import {
  ACK,
  type Address,
  buildFrame,
  ECT_0,
  FIN,
  PSH,
  timestampsOption,
} from '../reference/frame.ts'
import { lcg, SERVER_ADDR, SERVER_ADDR6, World, type WorldOptions } from './world.ts'

/** One thing to send: from byte `at` of an answer, on one of the connections. */
export interface Order {
  connection: number
  path: string
  headOnly?: boolean
  dateSec: number
  close: boolean
  at: number
  /** Exactly this many bytes; undefined: what the strategy likes. */
  exactly?: number
  /** Sequence number of the answer's first byte, int32. */
  base: number
  ack: number
  window: number
  /** Of connections with timestamps, int32; 0 unless given. */
  tsVal?: number
  tsEcr?: number
  /** New data of a connection with ECN. */
  ecn?: boolean
  /** The answer is the last of its connection: a FIN follows. */
  fin: boolean
}

const PORTS = [80, 8081]
const MTU = 9000
const TIMESTAMPS_LEN = 12

export class Sender {
  readonly world: World
  readonly #connections: number[] = []
  readonly #expected: Uint8Array[] = []

  /**
   * `count` connections, spread over the given segment sizes and two local ports; every second pair
   * of them has timestamps, every second four IPv6.
   */
  constructor(
    files: Record<string, Uint8Array | number>,
    mssOf: readonly number[],
    count: number,
    options: WorldOptions = {},
  ) {
    this.world = new World(files, { mtu: MTU, ipv6: true, ...options })
    const { server, host } = this.world
    const { tcp } = server.stack
    const random = lcg(7)
    tcp.listen(PORTS[1])
    for (let i = 0; i < count; i++) {
      const addr = addressOf(i, random())
      const port = 1 + ((random() >>> 4) % 65535)
      const serverPort = PORTS[i & 1]
      const timestamps = (i & 2) > 0
      const mss = mssOf[i % mssOf.length] + (timestamps ? TIMESTAMPS_LEN : 0)
      const peer = host.peer({ addr, port, serverPort, mss, timestamps }).open()
      assert.ok(this.world.runUntil(() => peer.isOpen, 5000))
      peer.vanish()
      this.#connections.push(this.#find(addr, (port << 16) | serverPort))
    }
    host.recording = true
  }

  /** The server's IPv4 address is its first, the IPv6 address its second. */
  #find(addr: Address, ports: number): number {
    const { table } = this.world.server.stack.tcp
    if (typeof addr === 'number') return table.find4(addr, 0, ports)
    const word = (i: number): number => Buffer.from(addr, 'hex').readInt32BE(4 * i)
    return table.find6(word(0), word(1), word(2), word(3), 1, ports)
  }

  get count(): number {
    return this.#connections.length
  }

  /** Payload bytes of a full segment on a connection. */
  mssOf(connection: number): number {
    const c = this.#connections[connection % this.count]
    return this.world.server.stack.tcp.tcb[c + tcb.MSS]
  }

  /** The bytes of an answer, Date and Connection filled in by other means than the server's. */
  answer(order: Order): Buffer {
    const { content } = this.world.site
    const { images } = content
    const image = this.world.site.imageOf(order.path)
    const from = images[image + IMAGE_OFF]
    const len = images[image + HEAD_LEN] + (order.headOnly ? 0 : images[image + BODY_LEN])
    const bytes = Buffer.from(content.region.bytes.slice(from, from + len))
    const date = new Date((order.dateSec >>> 0) * 1000).toUTCString()
    assert.equal(date.length, DATE_LEN)
    bytes.write(date, images[image + DATE_OFF], 'latin1')
    const connection = (order.close ? 'close' : 'keep-alive').padEnd(CONNECTION_LEN)
    bytes.write(connection, images[image + CONNECTION_OFF], 'latin1')
    return bytes
  }

  /**
   * Sends what the strategy frames in one go; returns the bytes in it, or what the strategy
   * returned instead.
   */
  send(order: Order): number {
    const { server } = this.world
    const { tcp } = server.stack
    const { answers } = server.mount
    if (server.device.txSpace() === 0) this.world.settle()
    const bytes = this.answer(order)
    const c = this.#connections[order.connection % this.count]
    const end = (order.base + bytes.length) | 0
    const t = tcp.tcb
    assert.equal(t[c + tcb.STATE], state.ESTABLISHED)
    t[c + tcb.SND_END] = end
    t[c + tcb.RCV_NXT] = order.ack
    t[c + tcb.RCV_ADV] = (order.ack + order.window) | 0
    t[c + tcb.RCV_SPACE] = order.window
    t[c + tcb.TS_OFFSET] = ((order.tsVal ?? 0) - tcp.nowMs) | 0
    t[c + tcb.TS_RECENT] = order.tsEcr ?? 0
    t[c + tcb.SND_NXT] = (order.base + order.at) | 0
    if (order.ecn) t[c + tcb.FLAGS] |= tcb.ECN
    else t[c + tcb.FLAGS] &= ~tcb.ECN
    if (order.fin) t[c + tcb.FLAGS] |= tcb.FIN_QUEUED
    else t[c + tcb.FLAGS] &= ~tcb.FIN_QUEUED
    const a = answers.alloc(ready(this.world.site.imageOf(order.path), order.close))
    answers.records[a + BASE] = order.base
    answers.records[a + LEN] = bytes.length
    answers.records[a + DATE_SEC] = order.dateSec | 0
    const { transmitter } = server
    const left = bytes.length - order.at
    const sent =
      order.exactly === undefined
        ? transmitter.transmit(c, a, order.at, left)
        : transmitter.transmitExactly(c, a, order.at, order.exactly)
    answers.free(a)
    if (sent <= 0) return sent
    for (let at = order.at; at < order.at + sent; ) {
      const next = Math.min(this.#frameEnd(order, t[c + tcb.MSS], at), order.at + sent)
      this.#expect(c, order, (order.base + at) | 0, end, bytes.subarray(at, next))
      at = next
    }
    return sent
  }

  /**
   * Where the frame that begins at byte `at` of a long answer ends: at a segment's end, if there
   * are segments.
   */
  #frameEnd(order: Order, mss: number, at: number): number {
    const { server, site } = this.world
    const { images } = site.content
    const image = site.imageOf(order.path)
    const headLen = images[image + HEAD_LEN]
    const bodyLen = images[image + BODY_LEN]
    const isCut = server.transmitter instanceof SegmentTransmitter && LADDER.includes(mss)
    const isWhole = order.exactly === undefined && !(order.headOnly && bodyLen > 0)
    if (!isCut || !isWhole || headLen + bodyLen <= mss) return at + mss
    const first = headLen + mss - HEAD_ROOM
    return at < first ? first : first + mss * (Math.floor((at - first) / mss) + 1)
  }

  /** Lets all frames out, and holds each against the one built from scratch. */
  check(): void {
    const { host } = this.world
    this.world.settle()
    assert.equal(host.recorded.length, this.#expected.length)
    host.recorded.forEach((frame, i) => {
      if (Buffer.compare(frame, this.#expected[i]) !== 0) assert.deepEqual(frame, this.#expected[i])
    })
    host.recorded.length = 0
    this.#expected.length = 0
  }

  #expect(c: number, order: Order, from: number, end: number, payload: Uint8Array): void {
    const t = this.world.server.stack.tcp.tcb
    const isEnd = ((from + payload.length) | 0) === end
    const hasTimestamps = (t[c + tcb.FLAGS] & tcb.TIMESTAMPS) !== 0
    const isIpv6 = (t[c + tcb.FRAME_KEY] & tcb.KIND_IPV6) !== 0
    const words = Buffer.alloc(16)
    for (let i = 0; i < 4; i++) words.writeInt32BE(t[c + tcb.REMOTE + i], 4 * i)
    const options = hasTimestamps ? timestampsOption(order.tsVal ?? 0, order.tsEcr ?? 0) : []
    this.#expected.push(
      buildFrame({
        dstMac: this.world.host.device.mac,
        srcMac: this.world.server.device.mac,
        srcAddr: isIpv6 ? SERVER_ADDR6 : SERVER_ADDR,
        dstAddr: isIpv6 ? words.toString('hex') : t[c + tcb.REMOTE],
        srcPort: t[c + tcb.PORTS] & 0xffff,
        dstPort: t[c + tcb.PORTS] >>> 16,
        seq: from,
        ack: order.ack,
        flags: ACK | (isEnd ? PSH : 0) | (isEnd && order.fin ? FIN : 0),
        window: order.window,
        tos: order.ecn ? ECT_0 : 0,
        options: Uint8Array.from(options),
        payload,
      }),
    )
  }
}

/** Of the i-th client: in 10/8, or in fd77::/64. */
const addressOf = (i: number, random: number): Address =>
  i & 4
    ? `fd77${'0'.repeat(12)}${(random >>> 0).toString(16).padStart(8, '0')}${(2 + i).toString(16).padStart(8, '0')}`
    : 0x0a000000 | (((random & 0x3f) << 18) + 2 + i)
