/** XdpDevice beyond the contract: a full ring, memory, garbage; at both ends of a cable. */
import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { closeHandle, OFFLOAD_NONE, Region, XdpDevice, xdpRegionBytes } from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { testFrame } from './device.suite.ts'
import { assertNoGarbage } from './garbage.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { assertFollowsMtu, makeVeth, removeVeth } from './veth.ts'
import { openTestXdp } from './xdpTest.ts'

const needsNic = unless(nicProblem())
if (needsNic.skip === false) before(ownNamespace)

const FRAMES_LEN = 1 << 20
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

interface Port {
  readonly device: XdpDevice
  /** Where the test's own frames begin. */
  readonly frames: number
}

function port(name: string): Port {
  const handle = openTestXdp(name)
  const region = new Region(xdpRegionBytes(handle) + FRAMES_LEN + 8192)
  const device = new XdpDevice(handle, region)
  closers.push(() => {
    device.close()
    closeHandle(handle)
  })
  return { device, frames: region.reserve(FRAMES_LEN, 2048) }
}

/** A device at either end of a cable. */
function pair(): [Port, Port] {
  makeVeth('near', 'far')
  closers.push(() => removeVeth('near'))
  return [port('near'), port('far')]
}

const received = ({ device }: Port, i: number): Uint8Array =>
  device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i])

/** Sends frames first … last-1 of 100 bytes, one a call. */
function send({ device, frames }: Port, first: number, last: number): void {
  for (let seq = first; seq < last; seq++) {
    const off = frames + (seq % 256) * 2048
    device.region.bytes.set(testFrame(seq, 100), off)
    device.push(off, 100, OFFLOAD_NONE)
    device.flush()
    while (device.reclaim() === 0) device.wait(100)
  }
}

function take(to: Port, wanted: number): number {
  let next = 0
  for (let idle = 0; next < wanted && idle < 100; idle++) {
    for (let n = to.device.rx(); n > 0; n = to.device.rx()) {
      for (let i = 0; i < n; i++) assert.deepEqual(received(to, i), testFrame(next++, 100))
    }
    if (next < wanted) to.device.wait(1000)
  }
  return next
}

test('what finds no chunk is lost and counted, and the rings go on', needsNic, () => {
  const [near, far] = pair()
  send(near, 0, 6000)
  const kept = take(far, 4096)
  assert.ok(kept >= 4000 && kept <= 4096, `${kept} frames were kept`)
  assert.equal(far.device.rx(), 0)
  send(near, 0, 50)
  assert.equal(take(far, 50), 50)
  far.device.close()
  assert.ok(far.device.stats.rxDropped > 0 && far.device.stats.rxDropped <= 6000 - kept)
})

test('a frame outside packet memory is never given to the kernel', needsNic, () => {
  const [{ device, frames }] = pair()
  const { byteLength } = device.region
  assert.throws(() => device.push(0, 100, OFFLOAD_NONE), /packet memory/)
  assert.throws(() => device.push(byteLength - 50, 100, OFFLOAD_NONE), /packet memory/)
  assert.throws(() => device.push(frames, byteLength, OFFLOAD_NONE), /packet memory/)
})

for (const mtu of [1500, 9000]) {
  const title = `the device reserves what it says, and gives its rings' pages back, MTU ${mtu}`
  test(title, needsNic, () => {
    makeVeth('near', 'far', mtu)
    closers.push(() => removeVeth('near'))
    const handle = openTestXdp('near', { mtu })
    closers.push(() => closeHandle(handle))
    const bytes = xdpRegionBytes(handle)
    const region = new Region(bytes, 0, bytes)
    const device = new XdpDevice(handle, region)
    assert.ok(region.unreservedBytes < 3 * libc().pageSize(), `${region.unreservedBytes} left`)
    assert.equal(device.isZeroCopy, false)
    device.close()
    region.bytes.fill(0xee)
  })
}

test('a packet costs no garbage, sent or received', needsNic, async () => {
  const [a, b] = pair()
  for (let k = 0; k < 16; k++) a.device.region.bytes.set(testFrame(k, 100), a.frames + k * 2048)
  let pushed = 0
  const move = (): void => {
    for (let i = 0; i < 1250; i++) {
      const count = Math.min(16, a.device.txSpace())
      for (let k = 0; k < count; k++) a.device.push(a.frames + k * 2048, 100, OFFLOAD_NONE)
      pushed += count
      a.device.flush()
      b.device.wait(0)
      while (b.device.rx() > 0);
      while (a.device.reclaim() > 0);
    }
  }
  await assertNoGarbage(move)
  assert.ok(pushed > 40 * 19_000, `${pushed} frames were sent`)
  assert.ok(b.device.stats.rxFrames > pushed / 2, `${b.device.stats.rxFrames} of ${pushed} came`)
})

test('an interface whose MTU got smaller says so to who asks', needsNic, () => {
  assertFollowsMtu(pair()[0].device)
})
