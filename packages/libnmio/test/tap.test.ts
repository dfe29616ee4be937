/** TapDevice over a cable of sockets: ownership, batches, bytes, counters; no privileges. */
import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
  BATCH_MAX,
  closeHandle,
  OFFLOAD_NONE,
  offload,
  Region,
  RX_CSUM_GOOD,
  RX_CSUM_PARTIAL,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
  wakeDevice,
} from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { koffiProblem } from '../src/sys/probe.ts'
import { cable } from './cable.ts'
import { assertNoGarbage } from './garbage.ts'
import { unless } from './privileges.ts'

const needsKoffi = unless(koffiProblem())
const FRAMES_LEN = 1 << 18
const handles: TapHandle[] = []
afterEach(() => {
  for (const handle of handles.splice(0)) closeHandle(handle)
})

interface Port {
  readonly device: TapDevice
  readonly handle: TapHandle
  readonly content: Region
  /** Where the test's own frames begin. */
  readonly frames: number
}
function port(handle: TapHandle, more = 0): Port {
  handles.push(handle)
  const region = new Region(tapRegionBytes(handle) + FRAMES_LEN + 64 + more)
  const content = new Region(1 << 18)
  const device = new TapDevice(handle, region, content)
  return { device, handle, content, frames: region.reserve(FRAMES_LEN) + 16 }
}
/** A TapDevice at either end. */
function pair(offloads = true, mtu = 1500): [Port, Port] {
  const [left, right] = cable(offloads, mtu)
  return [port(left), port(right)]
}
/** Bytes that tell every position and every frame apart. */
const pattern = (len: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: len }, (_, i) => (i * 7 + (i >> 8) * 13 + seed) & 0xff)
function put(region: Region, off: number, bytes: Uint8Array): void {
  region.bytes.set(bytes, off)
}
const received = (device: TapDevice, i: number): Uint8Array =>
  device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i])
/** Sends raw packets, virtio_net_hdr included, to the device at the other end. */
function sendRaw(handle: TapHandle, bytes: Uint8Array): void {
  assert.equal(libc().send(handle.fd, bytes, bytes.length, 0), bytes.length)
}
function receiveRaw(handle: TapHandle): Uint8Array {
  const bytes = new Uint8Array(70000)
  return bytes.slice(0, libc().recv(handle.fd, bytes, bytes.length, 0))
}

test(
  'frames of all sizes come out as they went in, in order, pushed and gathered',
  needsKoffi,
  () => {
    const [a, b] = pair()
    const sizes = [14, 15, 60, 66, 1459, 1460, 1514, 2101, 2102, 2103, 22000, 65549]
    for (const split of [0, 1, 14]) {
      const expected = sizes.map((len, i) => pattern(len, i))
      const got: Uint8Array[] = []
      for (const frame of expected) {
        const head = split === 0 ? frame.length : split
        put(a.device.region, a.frames, frame.subarray(0, head))
        put(a.content, 333, frame.subarray(head))
        if (split === 0) a.device.push(a.frames, frame.length, OFFLOAD_NONE)
        else a.device.gather(a.frames, split, 333, frame.length - split, OFFLOAD_NONE)
        a.device.flush()
        b.device.wait(0)
        for (let n = b.device.rx(); n > 0; n = b.device.rx()) {
          for (let i = 0; i < n; i++) got.push(received(b.device, i))
        }
      }
      assert.deepEqual(got, expected)
    }
    const { stats } = a.device
    assert.equal(stats.txFrames, 3 * sizes.length)
    assert.equal(stats.txBytes, 3 * sizes.reduce((sum, len) => sum + len))
    assert.equal(b.device.stats.rxFrames, stats.txFrames)
    assert.equal(b.device.stats.rxBytes, stats.txBytes)
  },
)

test('a batch of mixed sizes keeps its frames apart', needsKoffi, () => {
  const [a, b] = pair()
  const sizes = [60, 30000, 14, 2103, 1514, 65549, 60, 60]
  const expected = sizes.map((len, i) => pattern(len, i))
  for (let round = 0; round < 5; round++) {
    for (const frame of expected) sendRaw(a.handle, Buffer.concat([new Uint8Array(10), frame]))
    const got: Uint8Array[] = []
    for (let n = b.device.rx(); n > 0; n = b.device.rx()) {
      for (let i = 0; i < n; i++) got.push(received(b.device, i))
    }
    assert.deepEqual(got, expected)
  }
})

test('reclaim reports every flushed frame once, in order, and space follows', needsKoffi, () => {
  const [{ device, frames }] = pair()
  assert.equal(device.txSpace(), 256)
  const offs = [0, 1, 2].map(i => frames + i * 64)
  for (const off of offs) device.push(off, 60, OFFLOAD_NONE)
  assert.equal(device.txSpace(), 253)
  assert.equal(device.reclaim(), 0, 'not before the flush')
  device.flush()
  assert.equal(device.txSpace(), 253, 'space comes by reclaim')
  assert.equal(device.reclaim(), 3)
  assert.deepEqual([...device.doneOff.subarray(0, 3)], offs)
  assert.equal(device.reclaim(), 0)
  assert.equal(device.txSpace(), 256)
})

test(
  'when the kernel takes no more the rest is kept, in order, and wait says when',
  needsKoffi,
  () => {
    const [a, b] = pair()
    let queued = 0
    while (a.device.txSpace() > 0) {
      const off = a.frames + queued * 1000
      put(a.device.region, off, pattern(1000 - 16, queued++))
      a.device.push(off, 1000 - 16, OFFLOAD_NONE)
    }
    assert.equal(queued, 256)
    a.device.flush()
    const first = a.device.reclaim()
    assert.ok(first > 0 && first < 256, `the socket took ${first} of 256`)
    assert.equal(a.device.txSpace(), first)
    assert.equal(a.device.stats.txDropped, 0)
    let seen = 0
    for (let round = 0; seen < 256 && round < 1000; round++) {
      for (let n = b.device.rx(); n > 0; n = b.device.rx()) {
        for (let i = 0; i < n; i++) assert.deepEqual(received(b.device, i), pattern(984, seen++))
      }
      a.device.wait(1000)
      a.device.reclaim()
    }
    assert.equal(seen, 256)
    assert.equal(a.device.txSpace(), 256)
    assert.equal(a.device.stats.txFrames, 256)
  },
)

test('an offload request becomes the virtio_net_hdr that it means', needsKoffi, () => {
  const [{ device, frames, content }, { handle }] = pair()
  const header = (len: number, bodyLen: number, request: number): number[] => {
    device.region.bytes.fill(0xa5, frames - 16, frames + len)
    device.region.bytes[frames + 34 + 12] = 0x80 // a TCP header of 32 bytes
    if (bodyLen === 0) device.push(frames, len, request)
    else device.gather(frames, len, content.byteLength - bodyLen, bodyLen, request)
    device.flush()
    device.reclaim()
    const bytes = receiveRaw(handle)
    assert.equal(bytes.length, 10 + len + bodyLen)
    assert.ok(device.region.bytes.subarray(frames - 16, frames - 10).every(b => b === 0xa5))
    return [...bytes.subarray(0, 10)]
  }
  const csum = [34, 0, 16, 0]
  assert.deepEqual(header(66, 0, OFFLOAD_NONE), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  assert.deepEqual(header(66, 0, offload(4, 34, 0)), [1, 0, 0, 0, 0, 0, ...csum])
  // 1448 = 0x5a8; a single segment is no GSO frame, one byte more is.
  assert.deepEqual(header(66, 1448, offload(4, 34, 1448)), [1, 0, 0, 0, 0, 0, ...csum])
  assert.deepEqual(header(66, 1449, offload(4, 34, 1448)), [1, 1, 66, 0, 0xa8, 5, ...csum])
  assert.deepEqual(header(66 + 1449, 0, offload(4, 34, 1448)), [1, 1, 66, 0, 0xa8, 5, ...csum])
  assert.deepEqual(header(66, 1449, offload(6, 34, 1448)), [1, 4, 66, 0, 0xa8, 5, ...csum])
})

test('the flags of a received frame say what is known of its checksum', needsKoffi, () => {
  const [{ handle }, { device }] = pair()
  for (const [flags, expected] of [
    [0, 0],
    [1, RX_CSUM_PARTIAL],
    [2, RX_CSUM_GOOD],
    [3, RX_CSUM_PARTIAL],
  ]) {
    const bytes = new Uint8Array(70)
    bytes[0] = flags
    sendRaw(handle, bytes)
    assert.equal(device.rx(), 1)
    assert.equal(device.rxFlags[0], expected)
  }
})

test('frames too short to be one, or too long for the MTU, are counted drops', needsKoffi, () => {
  const [{ handle }, { device }] = pair(false, 1000)
  const longest = 10 + 14 + 4 + 1000
  for (const len of [1, 23, 24, longest, longest + 1, 5000]) {
    sendRaw(handle, pattern(len, 0).fill(0, 0, 10))
  }
  const got: number[] = []
  for (let i = 0; i < 10; i++) {
    const n = device.rx()
    for (let k = 0; k < n; k++) got.push(device.rxLen[k])
  }
  assert.deepEqual(got, [14, longest - 10])
  assert.equal(device.stats.rxDropped, 4)
})

test('a lone frame costs one read and one empty one; a burst fills the batch', needsKoffi, () => {
  const [{ handle }, { device }] = pair()
  const syscallsOf = (frames: number): number => {
    const before = device.stats.syscalls
    for (let i = 0; i < frames; i++) sendRaw(handle, new Uint8Array(70))
    let seen = 0
    for (let n = device.rx(); n > 0; n = device.rx()) {
      assert.ok(n <= BATCH_MAX)
      seen += n
    }
    assert.equal(seen, frames)
    const reads = device.stats.syscalls - before
    device.wait(0)
    return reads
  }
  assert.equal(syscallsOf(1), 2)
  assert.equal(syscallsOf(1), 2)
  assert.ok(syscallsOf(10) <= 12)
  assert.equal(syscallsOf(10), 11, 'the second burst of a size is one batch')
  assert.ok(syscallsOf(150) <= 153)
})

test(
  'wait ends by a frame, by a call from another thread, and by its time',
  needsKoffi,
  async () => {
    const [{ handle: far }, { device, handle }] = pair()
    const costOf = (timeoutUs: number): number => {
      const before = device.stats.syscalls
      device.wait(timeoutUs)
      return device.stats.syscalls - before
    }
    assert.equal(costOf(0), 1)
    assert.equal(costOf(1500), 1)
    sendRaw(far, new Uint8Array(70))
    assert.equal(costOf(-1), 1)
    assert.equal(device.rx(), 1)
    wakeDevice(handle)
    wakeDevice(handle)
    assert.equal(costOf(-1), 2, 'the eventfd was emptied')
    assert.equal(costOf(0), 1, 'and stays empty')

    const index = new URL('../src/index.js', import.meta.url).href
    const started = new Int32Array(new SharedArrayBuffer(4))
    const worker = new Worker(
      `import('${index}').then(({ wakeDevice }) => {
       const { handle, started } = require('node:worker_threads').workerData
       setTimeout(() => { Atomics.store(started, 0, 1); wakeDevice(handle) }, 20)
     })`,
      { eval: true, workerData: { handle, started } },
    )
    assert.equal(costOf(10_000_000), 2, 'woken, not timed out')
    assert.equal(Atomics.load(started, 0), 1)
    await new Promise(done => worker.on('exit', done))
  },
)

test('a handle works on another thread', needsKoffi, async () => {
  const [left, right] = cable()
  handles.push(left, right)
  const index = new URL('../src/index.js', import.meta.url).href
  const worker = new Worker(
    `import('${index}').then(({ TapDevice, Region, tapRegionBytes }) => {
       const { right } = require('node:worker_threads').workerData
       const device = new TapDevice(right, new Region(tapRegionBytes(right)), new Region(64))
       for (let i = 0; i < 100 && device.rx() === 0; i++) device.wait(100_000)
       device.push(device.rxOff[0], device.rxLen[0], 0) // the echo, from where it lies
       device.flush()
     })`,
    { eval: true, workerData: { right } },
  )
  const { device, frames } = port(left)
  put(device.region, frames, pattern(99, 5))
  device.push(frames, 99, OFFLOAD_NONE)
  device.flush()
  for (let i = 0; i < 100 && device.rx() === 0; i++) device.wait(100_000)
  assert.deepEqual(received(device, 0), pattern(99, 5))
  await new Promise(done => worker.on('exit', done))
})

test('nothing outside the regions is ever given to the kernel', needsKoffi, () => {
  const [{ device, frames, content }] = pair()
  const end = device.region.byteLength
  assert.throws(() => device.push(9, 60, OFFLOAD_NONE), /in the region/)
  assert.throws(() => device.push(end - 59, 60, OFFLOAD_NONE), /in the region/)
  assert.throws(() => device.gather(frames, 54, -1, 8, OFFLOAD_NONE), /in the content/)
  const { byteLength } = content
  assert.throws(() => device.gather(frames, 54, byteLength - 7, 8, OFFLOAD_NONE), /in the content/)
  assert.equal(device.txSpace(), 256)
  for (let i = 0; i < 256; i++) device.push(frames, 60, OFFLOAD_NONE)
  assert.throws(() => device.push(frames, 60, OFFLOAD_NONE), /has space/)
  const [masked] = pair(false)
  assert.deepEqual([masked.device.caps.txChecksum, masked.device.caps.gsoMaxBytes], [false, 0])
  assert.throws(() => masked.device.push(frames, 60, offload(4, 34, 0)), /offloads/)
})

test('a closed device receives nothing, drops what it is given, and says why', needsKoffi, () => {
  const [{ device, frames }, { handle }] = pair()
  device.push(frames, 60, OFFLOAD_NONE)
  sendRaw(handle, new Uint8Array(70))
  device.close()
  device.close()
  assert.equal(device.down, 'tap:left is closed')
  assert.deepEqual([device.rx(), device.txSpace()], [0, 0])
  assert.equal(device.reclaim(), 1, 'the frame is the caller’s again')
  assert.deepEqual([device.stats.txDropped, device.stats.txFrames], [1, 0])
})

test('the device reserves what it says', needsKoffi, () => {
  for (const [offloads, mtu] of [
    [true, 1500],
    [false, 1500],
    [false, 9000],
  ] as const) {
    const [handle, other] = cable(offloads, mtu)
    handles.push(handle, other)
    const bytes = tapRegionBytes(handle)
    const region = new Region(bytes, 0, bytes)
    new TapDevice(handle, region, new Region(64))
    assert.ok(region.unreservedBytes < 256, `${region.unreservedBytes} left`)
  }
})

test('a packet costs no garbage, sent, gathered or received', needsKoffi, async () => {
  // A block this large is mapped on its own, where an address is no small integer; a smaller one
  // may come from the C heap, far below, and would hide what is tested here.
  const [a, b] = cable().map(handle => port(handle, 64 << 20)) as [Port, Port]
  for (const { device } of [a, b]) assert.ok(libc().addressOf(device.region.bytes) > 2 ** 32)
  const move = (rounds: number): number => {
    let seen = 0
    for (let i = 0; i < rounds; i++) {
      for (let k = 0; k < 8; k++) {
        a.device.push(a.frames + k * 128, 66, offload(4, 34, 0))
        a.device.gather(a.frames + 1024 + k * 128, 66, k * 64, 500, OFFLOAD_NONE)
      }
      a.device.flush()
      a.device.reclaim()
      b.device.wait(0)
      for (let n = b.device.rx(); n > 0; n = b.device.rx()) seen += n
    }
    return seen
  }
  await assertNoGarbage(() => assert.equal(move(1250), 20_000))
})
