/**
 * memif by hand, for peers that do not keep to it: messages and memory as a test wants them. Memory
 * is mapped over pages of a region of its own, so that a test can write there what it likes.
 */
import assert from 'node:assert/strict'
import { Region } from '../src/index.ts'
import * as layout from '../src/memif/layout.ts'
import { decode, encode, MESSAGE_LEN, type Message, VERSION } from '../src/memif/message.ts'
import { libc } from '../src/sys/libc.ts'
import { mapOver, reservePages, unmapOver } from '../src/sys/mapping.ts'
import { createMemory, sealMemory } from '../src/sys/memfd.ts'
import {
  acceptFrom,
  connectTo,
  type Listener,
  listenAt,
  receiveMessage,
  sendMessage,
} from '../src/sys/unix.ts'
import { openWakeFd } from '../src/sys/waiter.ts'
import { type End, turn } from './memifTest.ts'

/** Memory of a raw client: rings of 16, and buffers and frames of 1 KB behind them. */
export const RAW_BYTES = 65536
export const RAW_LOG2 = 4
export const RAW_SIZE: number = 1 << RAW_LOG2
const S2M = 0
const M2S = 4096
const BUFFERS = 16384

/** A descriptor as a test writes it. */
export interface RawDesc {
  readonly flags?: number
  readonly region?: number
  readonly length?: number
  readonly offset?: number
}

/** A ring as one writes it who does not check. */
export class RawRing {
  readonly #view: DataView
  readonly #at: number

  constructor(view: DataView, at: number) {
    this.#view = view
    this.#at = at
  }

  init(): void {
    this.#view.setUint32(this.#at, layout.COOKIE, true)
  }
  get cookie(): number {
    return this.#view.getUint32(this.#at, true)
  }
  set cookie(cookie: number) {
    this.#view.setUint32(this.#at, cookie, true)
  }
  set flags(flags: number) {
    this.#view.setUint16(this.#at + layout.RING_FLAGS, flags, true)
  }
  get head(): number {
    return this.#view.getUint16(this.#at + layout.RING_HEAD, true)
  }
  set head(head: number) {
    this.#view.setUint16(this.#at + layout.RING_HEAD, head, true)
  }
  get tail(): number {
    return this.#view.getUint16(this.#at + layout.RING_TAIL, true)
  }
  set tail(tail: number) {
    this.#view.setUint16(this.#at + layout.RING_TAIL, tail, true)
  }

  /** Changes what is named of the descriptor in slot `i`. */
  setDesc(i: number, { flags, region, length, offset }: RawDesc): void {
    const at = this.#at + layout.RING_DESCS + i * layout.DESC_LEN
    if (flags !== undefined) this.#view.setUint16(at, flags, true)
    if (region !== undefined) this.#view.setUint16(at + 2, region, true)
    if (length !== undefined) this.#view.setUint32(at + 4, length, true)
    if (offset !== undefined) this.#view.setUint32(at + 8, offset, true)
  }
  offsetOf(i: number): number {
    return this.#view.getUint32(this.#at + layout.RING_DESCS + i * layout.DESC_LEN + 8, true)
  }
}

/** A peer's socket, and what belongs to it. */
class RawPeer {
  fd = -1
  readonly fds: number[] = []

  send(message: Message | Uint8Array, ...fds: number[]): void {
    sendMessage(this.fd, message instanceof Uint8Array ? message : encode(message), fds)
  }

  /** The next message, which `end` sends in its turns. */
  receive(end: End): { message: Message; fds: readonly number[] } {
    for (let i = 0; i < 100; i++) {
      turn([end])
      const received = receiveMessage(this.fd, MESSAGE_LEN, 1)
      if (received === 'none') continue
      assert.ok(typeof received === 'object', `received ${received}; ${end.lines}`)
      this.fds.push(...received.fds)
      const message = decode(received.data)
      assert.ok(message !== undefined)
      return { message, fds: received.fds }
    }
    throw new assert.AssertionError({ message: `nothing came; ${end.lines}` })
  }

  expect(end: End, type: Message['type']): { message: Message; fds: readonly number[] } {
    const received = this.receive(end)
    assert.equal(received.message.type, type)
    return received
  }

  close(): void {
    for (const fd of [...this.fds.splice(0), this.fd]) if (fd >= 0) libc().close(fd)
    this.fd = -1
  }
}

/** A client by hand. `say` does the whole handshake, or as much as a test wants. */
export class RawClient extends RawPeer {
  readonly region: Region
  readonly base: number
  readonly memory: number
  readonly s2m: RawRing
  readonly m2s: RawRing
  readonly rxFd: number
  readonly txFd: number

  constructor(socket: string) {
    super()
    this.fd = connectTo(socket)
    assert.ok(this.fd >= 0)
    this.memory = createMemory('raw')
    sealMemory(this.memory, RAW_BYTES)
    this.region = new Region(2 * RAW_BYTES)
    this.base = reservePages(this.region, RAW_BYTES)
    mapOver(this.region, this.base, RAW_BYTES, this.memory, 0)
    this.s2m = new RawRing(this.region.view, this.base + S2M)
    this.m2s = new RawRing(this.region.view, this.base + M2S)
    this.s2m.init()
    this.m2s.init()
    for (let i = 0; i < RAW_SIZE; i++) {
      const offset = BUFFERS + i * 1024
      this.s2m.setDesc(i, { flags: 0, region: 0, length: 100, offset: offset + RAW_SIZE * 1024 })
      this.m2s.setDesc(i, { flags: 0, region: 0, length: 1024, offset })
    }
    this.rxFd = openWakeFd()
    this.txFd = openWakeFd()
    this.fds.push(this.memory, this.rxFd, this.txFd)
  }

  readonly init: Message = {
    type: 'init',
    version: VERSION,
    id: 0,
    mode: 0,
    secret: 'psst',
    name: 'raw',
  }
  readonly addRegion: Message & { type: 'addRegion' } = {
    type: 'addRegion',
    index: 0,
    size: RAW_BYTES,
  }
  readonly addS2m: Message & { type: 'addRing' } = {
    type: 'addRing',
    flags: 1,
    index: 0,
    region: 0,
    offset: S2M,
    log2RingSize: RAW_LOG2,
    privateHdrSize: 0,
  }
  readonly addM2s: Message & { type: 'addRing' } = { ...this.addS2m, flags: 0, offset: M2S }

  /** Bytes at an offset of the shared memory. */
  bytes(offset: number, len: number): Uint8Array {
    return this.region.bytes.subarray(this.base + offset, this.base + offset + len)
  }

  /** Says one thing after the other as it should be said, up to `last`. */
  say(end: End, last: 'hello' | 'init' | 'region' | 's2m' | 'm2s' | 'connect'): this {
    this.expect(end, 'hello')
    if (last === 'hello') return this
    const steps: ['init' | 'region' | 's2m' | 'm2s', Message, number[]][] = [
      ['init', this.init, []],
      ['region', this.addRegion, [this.memory]],
      ['s2m', this.addS2m, [this.txFd]],
      ['m2s', this.addM2s, [this.rxFd]],
    ]
    for (const [name, message, fds] of steps) {
      this.send(message, ...fds)
      this.expect(end, 'ack')
      if (last === name) return this
    }
    this.send({ type: 'connect', ifName: 'raw' })
    this.expect(end, 'connected')
    return this
  }

  override close(): void {
    if (this.fd >= 0) unmapOver(this.region, this.base, RAW_BYTES)
    super.close()
  }
}

/** A server by hand. */
export class RawServer extends RawPeer {
  readonly #listener: Listener
  /** The client's memory, once it is there. */
  region: Region = new Region(0)
  base = 0
  bytes = 0
  memory = -1
  s2m: RawRing = new RawRing(this.region.view, 0)
  m2s: RawRing = new RawRing(this.region.view, 0)

  readonly hello: Message & { type: 'hello' } = {
    type: 'hello',
    name: 'raw',
    minVersion: VERSION,
    maxVersion: VERSION,
    maxRegion: 1,
    maxM2sRing: 0,
    maxS2mRing: 0,
    maxLog2RingSize: RAW_LOG2,
  }

  constructor(socket: string) {
    super()
    this.#listener = listenAt(socket)
  }

  /** Waits for the client. */
  accept(end: End): this {
    for (let i = 0; i < 1000 && this.fd < 0; i++) {
      turn([end])
      this.fd = acceptFrom(this.#listener.fd)
    }
    assert.ok(this.fd >= 0, 'the client comes')
    return this
  }

  /** Hears the client out, up to its CONNECT. */
  greet(end: End): this {
    this.send(this.hello)
    this.expect(end, 'init')
    this.send({ type: 'ack' })
    const { message, fds } = this.expect(end, 'addRegion')
    assert.ok(message.type === 'addRegion')
    this.bytes = message.size
    this.memory = fds[0]
    this.region = new Region(this.bytes + RAW_BYTES)
    this.base = reservePages(this.region, this.bytes)
    mapOver(this.region, this.base, this.bytes, this.memory, 0)
    for (const flags of [1, 0]) {
      this.send({ type: 'ack' })
      const { message } = this.expect(end, 'addRing')
      assert.ok(message.type === 'addRing' && message.flags === flags)
      const ring = new RawRing(this.region.view, this.base + message.offset)
      assert.equal(ring.cookie, layout.COOKIE)
      if (flags === 1) this.s2m = ring
      else this.m2s = ring
    }
    this.send({ type: 'ack' })
    this.expect(end, 'connect')
    return this
  }

  /** All that, and CONNECTED. */
  connect(end: End): this {
    this.greet(end)
    this.send({ type: 'connected', ifName: 'raw' })
    for (let i = 0; i < 100 && !end.link.isUp; i++) turn([end])
    assert.ok(end.link.isUp)
    return this
  }

  /** Leaves the client; goes on listening. */
  leave(): void {
    if (this.bytes > 0) unmapOver(this.region, this.base, this.bytes)
    this.bytes = 0
    super.close()
  }

  override close(): void {
    this.leave()
    this.#listener.close()
  }
}
