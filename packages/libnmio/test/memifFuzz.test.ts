/**
 * memif peers that do anything at all: random messages, random rings, and memory that changes while
 * it is read. Nothing throws, nothing but what is shared is touched, every descriptor is closed
 * again, and an honest peer is served after all that.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { afterEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { koffiProblem, OFFLOAD_NONE } from '../src/index.ts'
import { encode, MESSAGE_LEN, type Message, VERSION } from '../src/memif/message.ts'
import { Prng } from '../src/wrap/prng.ts'
import { testFrame } from './device.suite.ts'
import { RAW_BYTES, RawClient, type RawRing, RawServer } from './memifRaw.ts'
import type { Scribbler } from './memifScribbler.ts'
import { type End, newSocket, openEnd, turn } from './memifTest.ts'
import { unless } from './privileges.ts'

const { skip } = unless(koffiProblem())
const SEED = Number(process.env['MEMIF_SEED'] ?? 1)

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})
const closing = <T extends { close(): void }>(what: T): T => {
  closers.push(() => what.close())
  return what
}

const openFds = (): number => readdirSync('/proc/self/fd').length
const pick = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)]

/** What a device's own frames lie in: nobody else may write there. */
class Guard {
  readonly #end: End
  readonly #from: number
  readonly #to: number

  constructor(end: End) {
    this.#end = end
    this.#from = end.frames + 65536
    this.#to = this.#from + (1 << 20)
    end.device.region.bytes.fill(0x5a, this.#from, this.#to)
  }

  check(): void {
    const bytes = this.#end.device.region.bytes.subarray(this.#from, this.#to)
    assert.ok(bytes.every(byte => byte === 0x5a))
  }
}

/**
 * What a stack does in a turn: receives, sends, takes completions. Returns the frames that came.
 */
function use({ device, frames }: End, random: Prng): number {
  const count = device.rx()
  for (let i = 0; i < count; i++) {
    assert.ok(device.rxLen[i] >= 14 && device.rxLen[i] <= device.mtu + 14)
  }
  for (let i = random.below(4); i > 0 && device.txSpace() > 0; i--) {
    device.push(frames + 2048 * random.below(16), 60 + random.below(1400), OFFLOAD_NONE)
  }
  device.flush()
  device.reclaim()
  return count
}

const NUMBERS = [0, 1, 2, 15, 16, 17, 100, 255, 1024, 2048, 2049, 4096, 32768, 65535, 65536]
const LARGE = [0x7fffffff, 0x80000000, 0xffffff00, 0xffffffff]

/** Changes something of a ring that its other side believes in. */
function bend(ring: RawRing, random: Prng): void {
  const slot = random.below(16)
  const number = pick(random, [...NUMBERS, ...NUMBERS, ...LARGE])
  switch (random.below(12)) {
    case 0:
      ring.head = pick(random, NUMBERS)
      break
    case 1:
      ring.tail = pick(random, NUMBERS)
      break
    case 2:
      ring.flags = random.below(4)
      break
    case 3:
      ring.setDesc(slot, { region: random.below(3) })
      break
    case 4:
      ring.setDesc(slot, { flags: random.below(2) })
      break
    case 5:
      ring.setDesc(slot, { offset: number })
      break
    case 6:
      ring.setDesc(slot, { length: number })
      break
    case 7:
      ring.tail = ring.tail + random.below(3)
      break
    default:
      ring.head = ring.head + random.below(3)
  }
}

/** How many lines a link has warned with; each has a reason, and can be printed. */
function takeLines({ lines }: End): number {
  for (const line of lines) assert.match(line, /^memif:[ -~]*: [ -~]+$/)
  return lines.splice(0).length
}

/** An honest client is served. */
function expectService(end: End, socket: string): void {
  const client = new RawClient(socket).say(end, 'connect')
  client.bytes(client.s2m.offsetOf(0), 100).set(testFrame(1, 100))
  client.s2m.head = 1
  while (end.device.reclaim() > 0);
  assert.equal(end.device.rx(), 1)
  client.close()
  turn([end])
}

/** An honest server is used. */
function expectUse(end: End, server: RawServer): void {
  end.link.poll(performance.now() + 10_000)
  server.accept(end).connect(end)
  server.region.bytes.set(testFrame(1, 100), server.base + server.m2s.offsetOf(0))
  server.m2s.setDesc(0, { length: 100 })
  server.m2s.tail = 1
  assert.equal(end.device.rx(), 1)
  server.leave()
  turn([end])
}

/** A message of any kind, mostly one that could be. */
function anything(random: Prng): Message | Uint8Array {
  const few = (): number => pick(random, [0, 0, 0, 0, 1, 2, 255])
  const size = pick(random, [RAW_BYTES, RAW_BYTES, 4096, 0, RAW_BYTES + 1, 2 ** 40])
  const offset = pick(random, [0, 4096, 8192, RAW_BYTES - 200, 0xfffffff0, 2])
  const log2RingSize = pick(random, [4, 4, 4, 0, 14, 15, 255])
  const version = pick(random, [VERSION, VERSION, VERSION, 0])
  const secret = pick(random, ['psst', 'psst', 'psst', ''])
  const flags = random.below(2)
  const ring = { index: few(), region: few(), offset, log2RingSize, privateHdrSize: 0 }
  const rings = { maxM2sRing: few(), maxS2mRing: few(), maxLog2RingSize: log2RingSize }
  const hello = { name: '', minVersion: version, maxVersion: version, maxRegion: few(), ...rings }
  const messages: Message[] = [
    { type: 'ack' },
    { type: 'ack' },
    { type: 'hello', ...hello },
    { type: 'init', version, id: few(), mode: few(), secret, name: '\x1b' },
    { type: 'init', version: VERSION, id: 0, mode: 0, secret: 'psst', name: '' },
    { type: 'addRegion', index: few(), size },
    { type: 'addRegion', index: 0, size: RAW_BYTES },
    { type: 'addRing', flags, ...ring },
    { type: 'addRing', flags, ...ring },
    { type: 'connect', ifName: 'x' },
    { type: 'connected', ifName: 'x' },
  ]
  const bytes = encode(pick(random, messages))
  if (random.chance(0.05)) bytes[random.below(MESSAGE_LEN)] = random.below(256)
  return random.chance(0.02) ? bytes.subarray(0, random.below(MESSAGE_LEN)) : bytes
}

describe('memif and chance', { skip }, () => {
  test(`a server hears anything (MEMIF_SEED=${SEED})`, () => {
    const random = new Prng(SEED, 1)
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst', peerBytes: 1 << 20 }))
    const before = openFds()
    let dropped = 0
    let up = 0
    for (let round = 0; round < 400; round++) {
      const client = new RawClient(socket)
      const last = pick(random, ['hello', 'init', 'region', 's2m', 'm2s'] as const)
      client.say(end, last)
      for (let step = 0; step < 12; step++) {
        const fds = [[], [client.memory], [client.rxFd], [client.txFd, client.memory]]
        client.send(anything(random), ...pick(random, fds))
        turn([end])
        if (end.device.isOn) up++
        use(end, random)
      }
      client.close()
      turn([end])
      dropped += takeLines(end)
    }
    assert.equal(openFds(), before)
    assert.equal(dropped, 400)
    assert.ok(up > 0, 'some come through')
    expectService(end, socket)
  })

  test(`a client hears anything (MEMIF_SEED=${SEED})`, () => {
    const random = new Prng(SEED, 2)
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, secret: 'psst' }))
    const before = openFds()
    let up = 0
    for (let round = 0; round < 400; round++) {
      end.link.poll(performance.now() + 10_000)
      server.accept(end)
      if (random.chance(0.9)) server.send(server.hello)
      const acks = random.below(7)
      for (let step = 0; step < 12; step++) {
        if (step < acks) server.send({ type: 'ack' })
        else if (step === acks && random.chance(0.7)) server.send({ type: 'connected', ifName: '' })
        else server.send(anything(random))
        turn([end])
        if (end.device.isOn) up++
        use(end, random)
      }
      server.leave()
      turn([end])
      assert.equal(takeLines(end), 1)
    }
    assert.equal(openFds(), before)
    assert.ok(up > 0, 'some come through')
    expectUse(end, server)
  })

  test(`a server reads any rings (MEMIF_SEED=${SEED})`, () => {
    const random = new Prng(SEED, 3)
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const guard = new Guard(end)
    const before = openFds()
    let frames = 0
    let dropped = 0
    for (let round = 0; round < 400; round++) {
      const client = new RawClient(socket).say(end, 'connect')
      for (let step = 0; step < 60; step++) {
        bend(random.chance(0.5) ? client.s2m : client.m2s, random)
        frames += use(end, random)
        end.device.wait(0)
      }
      client.close()
      turn([end])
      dropped += takeLines(end)
    }
    assert.equal(dropped, 400)
    assert.ok(frames > 200, `${frames} frames came`)
    assert.equal(openFds(), before)
    guard.check()
    expectService(end, socket)
  })

  test(`a client reads any rings (MEMIF_SEED=${SEED})`, () => {
    const random = new Prng(SEED, 4)
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, secret: 'psst' }))
    const guard = new Guard(end)
    const before = openFds()
    let frames = 0
    for (let round = 0; round < 200; round++) {
      end.link.poll(performance.now() + 10_000)
      server.accept(end).connect(end)
      for (let step = 0; step < 60; step++) {
        if (random.chance(0.2)) bend(random.chance(0.5) ? server.s2m : server.m2s, random)
        else {
          const desc = { flags: 0, length: 60 + random.below(1400) }
          server.m2s.setDesc(server.m2s.tail % 16, desc)
          server.m2s.tail = server.m2s.tail + 1
          if (random.chance(0.5)) server.s2m.tail = server.s2m.head
        }
        frames += use(end, random)
        end.device.wait(0)
      }
      server.leave()
      turn([end])
      assert.equal(takeLines(end), 1)
    }
    assert.ok(frames > 50, `${frames} frames came`)
    assert.equal(openFds(), before)
    guard.check()
    expectUse(end, server)
  })

  test(`memory changes while a server reads it (MEMIF_SEED=${SEED})`, async () => {
    const random = new Prng(SEED, 5)
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const guard = new Guard(end)
    let frames = 0
    let rounds = 0
    for (const deadline = performance.now() + 1500; performance.now() < deadline; rounds++) {
      const client = new RawClient(socket).say(end, 'connect')
      const flag = new Int32Array(new SharedArrayBuffer(4))
      // Descriptors of both rings, and the frames behind them.
      const place = { from: (client.base + 128) >> 2, count: 2048 }
      const workerData: Scribbler = { memory: client.region.buffer, ...place, seed: rounds, flag }
      const worker = new Worker(fileURLToPath(new URL('memifScribbler.js', import.meta.url)), {
        workerData,
      })
      await once(worker, 'online')
      for (let step = 0; step < 20_000 && end.device.isOn; step++) {
        client.s2m.head = client.s2m.tail + 4
        client.m2s.head = client.m2s.tail + 8
        frames += use(end, random)
      }
      Atomics.store(flag, 0, 1)
      await once(worker, 'exit')
      client.close()
      turn([end])
      takeLines(end)
    }
    assert.ok(rounds > 3, `${rounds} rounds`)
    assert.ok(frames > 100, `${frames} frames came`)
    guard.check()
    expectService(end, socket)
  })
})
