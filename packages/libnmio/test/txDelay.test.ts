/** The transmit delay: when frames go out, with which others, and whose they are meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Device,
  memoryLink,
  OFFLOAD_NONE,
  offload,
  Region,
  TxDelayDevice,
  VirtualClock,
} from '../src/index.ts'
import { DelegateDevice } from '../src/wrap/delegate.ts'
import { GatherPort } from './gatherPort.ts'

const DELAY_US = 50

/** Remembers how long it was to sleep. */
class Sleeper extends DelegateDevice {
  readonly slept: number[] = []
  /** What happens meanwhile. */
  whileAsleep: (us: number) => void = () => {}

  override wait(timeoutUs: number): void {
    this.slept.push(timeoutUs)
    this.whileAsleep(timeoutUs)
  }
}

function makeLink(ringSize = 64) {
  const region = new Region(1 << 21)
  const base = region.reserve(64 * 128)
  const [a, peer] = memoryLink({ region, ringSize })
  const clock = new VirtualClock()
  const sleeper = new Sleeper(a)
  const device = new TxDelayDevice(sleeper, { delayUs: DELAY_US, clock: clock.read })
  let pushed = 0
  /** Pushes `count` frames, a batch; frame i lies at base + 64 i and is 60 + i long. */
  const send = (count: number): void => {
    for (const end = pushed + count; pushed < end; pushed++) {
      device.push(base + 64 * pushed, 60 + pushed, OFFLOAD_NONE)
    }
    device.flush()
  }
  /** The frames that came, by their numbers. */
  const arrived = (): number[] =>
    Array.from({ length: peer.rx() }, (_, i) => {
      const frame = peer.rxLen[i] - 60
      assert.equal(peer.rxOff[i], base + 64 * frame)
      return frame
    })
  const reclaimed = (): number[] =>
    Array.from({ length: device.reclaim() }, (_, i) => (device.doneOff[i] - base) / 64)
  return { peer, clock, sleeper, device, send, arrived, reclaimed }
}

test('frames wait for the delay since the first of them, and then all go out, in order', () => {
  const { clock, device, send, arrived } = makeLink()
  send(2)
  clock.advance(DELAY_US - 1)
  send(1)
  assert.deepEqual(arrived(), [])
  clock.advance(1)
  device.flush()
  assert.deepEqual(arrived(), [0, 1, 2])
})

test('each batch has a delay of its own', () => {
  const { clock, device, send, arrived } = makeLink()
  send(1)
  clock.advance(DELAY_US)
  device.flush()
  assert.deepEqual(arrived(), [0])
  clock.advance(1000)
  send(1)
  assert.deepEqual(arrived(), [])
  clock.advance(DELAY_US)
  device.flush()
  assert.deepEqual(arrived(), [1])
})

test('a wait ends when frames are due, and sends them', () => {
  const { clock, sleeper, device, send, arrived } = makeLink()
  sleeper.whileAsleep = us => clock.advance(us)
  send(1)
  clock.advance(20)
  device.wait(-1)
  assert.deepEqual(sleeper.slept, [DELAY_US - 20])
  assert.deepEqual(arrived(), [0])
})

test('a wait that ends sooner sends nothing; one for what is overdue does not sleep', () => {
  const { clock, sleeper, device, send, arrived } = makeLink()
  send(1)
  device.wait(10)
  assert.deepEqual(arrived(), [])
  clock.advance(DELAY_US + 1)
  device.wait(10)
  assert.deepEqual(sleeper.slept, [10, 0])
  assert.deepEqual(arrived(), [0])
})

test('while nothing is held back a wait is as long as it is asked to be', () => {
  const { clock, sleeper, device } = makeLink()
  clock.advance(1000)
  device.wait(-1)
  device.wait(70)
  assert.deepEqual(sleeper.slept, [-1, 70])
})

test('a full ring goes out at once', () => {
  const { device, send, arrived } = makeLink(4)
  send(3)
  assert.equal(device.txSpace(), 1)
  assert.deepEqual(arrived(), [])
  send(1)
  assert.equal(device.txSpace(), 0)
  assert.deepEqual(arrived(), [0, 1, 2, 3])
})

test('a frame that waits is the device’s', () => {
  const { peer, clock, device, send, reclaimed } = makeLink()
  send(2)
  assert.deepEqual(reclaimed(), [])
  clock.advance(DELAY_US)
  device.flush()
  peer.rx()
  assert.deepEqual(reclaimed(), [])
  peer.rx()
  assert.deepEqual(reclaimed(), [0, 1])
})

test('closing sends what waits', () => {
  const { device, send, arrived } = makeLink()
  send(2)
  device.close()
  assert.deepEqual(arrived(), [0, 1])
})

test('what waits when the device goes comes back, behind what it had, and counts as dropped', () => {
  const { peer, clock, device, send, reclaimed } = makeLink()
  send(2)
  clock.advance(DELAY_US)
  device.flush()
  send(3)
  peer.close()
  device.flush()
  assert.deepEqual(reclaimed(), [0, 1, 2, 3, 4])
  assert.equal(device.stats.txDropped, 3)
  assert.deepEqual(reclaimed(), [])
})

test('a gathered frame keeps its body and its offload request', () => {
  const region = new Region(1 << 22)
  const content = new Region(65536)
  const [a, peer] = memoryLink({ region })
  const inner = new GatherPort(a, content)
  const clock = new VirtualClock()
  const device: Device = new TxDelayDevice(inner, { delayUs: DELAY_US, clock: clock.read })
  const off = region.reserve(64)
  region.bytes.fill(1, off, off + 54)
  content.bytes.fill(2, 4096, 4196)
  const request = offload(4, 34, 1448)
  device.gather(off, 54, 4096, 100, request)
  device.push(off, 60, OFFLOAD_NONE)
  clock.advance(DELAY_US)
  device.flush()
  assert.deepEqual(inner.requests, [request, OFFLOAD_NONE])
  assert.equal(peer.rx(), 2)
  const frame = region.bytes.slice(peer.rxOff[0], peer.rxOff[0] + peer.rxLen[0])
  assert.deepEqual(
    frame,
    Uint8Array.from({ length: 154 }, (_, i) => (i < 54 ? 1 : 2)),
  )
})
