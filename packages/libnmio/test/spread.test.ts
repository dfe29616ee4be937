/**
 * Workers that share a device, each with a queue (a memory link) of its own: whichever queue a
 * frame comes to, its flow's worker gets it, once and in order; nobody sleeps on mail, and nobody
 * waits for the dead.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  BATCH_MAX,
  hubBytes,
  leaveHub,
  type MemoryPort,
  memoryLink,
  Region,
  type Spread,
  SpreadDevice,
  workerOfFrame,
} from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { koffiProblem } from '../src/sys/probe.ts'
import { openWakeFd } from '../src/sys/waiter.ts'
import { unless } from './privileges.ts'
import { tcpFrame } from './tcpFrame.ts'

const RING = 4096
const SLOT = 2048
const SRC_PORT = 34
const NUMBER = 38

/**
 * Wires of `count` workers; `send(queue, port)` sends a frame of that client port, with the next
 * number.
 */
class Scene {
  readonly spread: Spread
  readonly region: Region
  readonly hub: number
  readonly wakeFds: number[]
  readonly far: MemoryPort[] = []
  readonly near: MemoryPort[] = []
  readonly workers: SpreadDevice[] = []
  readonly #frames: number
  #sent = 0

  constructor(count: number, key = 1) {
    this.spread = { count, key }
    this.region = new Region(hubBytes(count) + RING * SLOT + 4096)
    this.hub = this.region.reserve(hubBytes(count), 64)
    this.#frames = this.region.reserve(RING * SLOT)
    this.wakeFds = Array.from({ length: count }, openWakeFd)
    for (let worker = 0; worker < count; worker++) {
      const [near, far] = memoryLink({ region: this.region, ringSize: RING })
      this.near.push(near)
      this.far.push(far)
      this.workers.push(this.join(worker))
    }
  }

  join(worker: number): SpreadDevice {
    const { spread, hub, wakeFds } = this
    return new SpreadDevice(this.near[worker], { spread, worker, hub, wakeFds })
  }

  send(queue: number, port: number, payloadLen = 10): number {
    const bytes = tcpFrame(4, payloadLen)
    const view = new DataView(bytes.buffer)
    view.setUint16(SRC_PORT, port)
    view.setUint32(NUMBER, this.#sent)
    const off = this.#frames + (this.#sent % RING) * SLOT
    this.region.bytes.set(bytes, off)
    const device = this.far[queue]
    device.push(off, bytes.length, 0)
    device.flush()
    device.reclaim()
    return this.#sent++
  }

  owner(port: number): number {
    const bytes = tcpFrame(4, 10)
    const view = new DataView(bytes.buffer)
    view.setUint16(SRC_PORT, port)
    return workerOfFrame(this.spread, view, 0, bytes.length)
  }

  /** A port of each worker. */
  portOf(worker: number): number {
    let port = 1024
    while (this.owner(port) !== worker) port++
    return port
  }

  /** What one batch brings: ports and numbers. */
  receive(worker: number): { port: number; number: number }[] {
    const device = this.workers[worker]
    const { view } = this.region
    return Array.from({ length: device.rx() }, (_, i) => ({
      port: view.getUint16(device.rxOff[i] + SRC_PORT),
      number: view.getUint32(device.rxOff[i] + NUMBER),
    }))
  }

  isWoken(worker: number): boolean {
    const count = new Uint8Array(8)
    return libc().read(this.wakeFds[worker], libc().addressOf(count), 8) === 8
  }

  close(): void {
    for (const fd of this.wakeFds) libc().close(fd)
  }
}

function inScene(count: number, body: (scene: Scene) => void): void {
  const scene = new Scene(count)
  try {
    body(scene)
  } finally {
    scene.close()
  }
}

describe('workers of one device', unless(koffiProblem()), () => {
  test('whichever queue a frame comes to, its flow’s worker gets it, once and in order', () => {
    const ports = fc.integer({ min: 1024, max: 1100 })
    const step = fc.oneof(
      fc.record({
        queue: fc.integer({ min: 0, max: 3 }),
        ports: fc.array(ports, { maxLength: 100 }),
      }),
      fc.record({ receive: fc.integer({ min: 0, max: 3 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps =>
        inScene(4, scene => {
          const got = new Map<number, number[]>()
          let sent = 0
          const receive = (worker: number): number => {
            const frames = scene.receive(worker)
            for (const { port, number } of frames) {
              assert.equal(scene.owner(port), worker)
              got.set(port, [...(got.get(port) ?? []), number])
            }
            return frames.length
          }
          // A flow stays at one queue, as NICs see to it; there its frames are in order.
          for (const step of steps) {
            if ('receive' in step) receive(step.receive)
            else for (const port of step.ports) sent += scene.send(port % 4, port) >= 0 ? 1 : 0
          }
          for (let calm = 0; calm < 8; ) {
            const count = [0, 1, 2, 3].map(receive).reduce((a, b) => a + b)
            calm = count === 0 ? calm + 1 : 0
          }
          const numbers = [...got.values()]
          assert.equal(numbers.flat().length, sent)
          for (const list of numbers) {
            assert.deepEqual(
              list,
              [...list].sort((a, b) => a - b),
            )
          }
        }),
      ),
      { numRuns: 50 },
    )
  })

  test('a full mailbox holds up its queue and loses nothing', () =>
    inScene(2, scene => {
      const [ours, theirs] = [scene.portOf(0), scene.portOf(1)]
      for (let i = 0; i < 1000; i++) scene.send(0, theirs, 1400)
      const last = scene.send(0, ours)
      const kept: number[] = []
      const taken: number[] = []
      for (let i = 0; i < 1000 / BATCH_MAX + 1; i++)
        kept.push(...scene.receive(0).map(f => f.number))
      assert.equal(kept.length, 0, 'our own frame is behind those that found no room')
      const { stats } = scene.near[0]
      assert.ok(stats.rxHandedOver < 1000)
      for (let i = 0; i < 200 && (taken.length < 1000 || kept.length === 0); i++) {
        taken.push(...scene.receive(1).map(({ number }) => number))
        kept.push(...scene.receive(0).map(({ number }) => number))
      }
      assert.deepEqual(
        taken,
        Array.from({ length: 1000 }, (_, i) => i),
      )
      assert.deepEqual(kept, [last])
      assert.deepEqual([stats.rxHandedOver, stats.rxDropped], [1000, 0])
    }))

  test('who sleeps is woken, once for a batch; who is awake is left alone', () =>
    inScene(2, scene => {
      const theirs = scene.portOf(1)
      scene.send(0, theirs)
      scene.receive(0)
      assert.ok(!scene.isWoken(1), 'awake')
      scene.receive(1)
      // What `wait` does first; the memory port's own wait returns at once, so we look in between.
      let isWoken = false
      scene.near[1].wait = () => {
        for (let i = 0; i < 5; i++) scene.send(0, theirs)
        scene.receive(0)
        isWoken = scene.isWoken(1)
      }
      scene.workers[1].wait(-1)
      assert.ok(isWoken)
      assert.ok(!scene.isWoken(1), 'one call for five frames')
      assert.equal(scene.receive(1).length, 5)
    }))

  test('nobody sleeps on mail, and not for long where mail cannot go out', () =>
    inScene(2, scene => {
      const waits: number[] = []
      for (const near of scene.near) {
        near.wait = timeoutUs => {
          waits.push(timeoutUs)
        }
      }
      const theirs = scene.portOf(1)
      scene.workers[1].wait(-1)
      scene.send(0, theirs)
      scene.receive(0)
      scene.workers[1].wait(-1)
      scene.receive(1)
      scene.workers[1].wait(5_000_000)
      assert.deepEqual(waits.splice(0), [-1, 0, 5_000_000])
      for (let i = 0; i < 1000; i++) scene.send(0, theirs, 1400)
      for (let i = 0; i < 20; i++) scene.receive(0)
      for (const timeoutUs of [-1, 5_000_000, 50]) scene.workers[0].wait(timeoutUs)
      assert.ok(waits[0] > 0 && waits[0] <= 1000, `${waits[0]} µs`)
      assert.deepEqual(waits.slice(1), [waits[0], 50])
    }))

  test('frames of a worker who is not there are counted as dropped, and hold up nobody', () =>
    inScene(2, scene => {
      const [ours, theirs] = [scene.portOf(0), scene.portOf(1)]
      scene.send(0, theirs)
      scene.receive(0)
      leaveHub(scene.region, scene.hub, 1)
      for (let i = 0; i < 10; i++) scene.send(0, theirs)
      scene.send(0, ours)
      assert.equal(scene.receive(0).length, 1)
      assert.equal(scene.near[0].stats.rxDropped, 10)
      // Who comes after him gets what comes from now on.
      scene.workers[1] = scene.join(1)
      assert.deepEqual(scene.receive(1), [])
      const number = scene.send(0, theirs)
      scene.receive(0)
      assert.deepEqual(scene.receive(1), [{ port: theirs, number }])
    }))

  test('one that closes is absent', () =>
    inScene(2, scene => {
      scene.workers[1].close()
      scene.send(0, scene.portOf(1))
      scene.receive(0)
      assert.equal(scene.near[0].stats.rxDropped, 1)
    }))
})
