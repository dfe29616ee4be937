/** The bad network as a device: what it spares, when frames come, and that it is bounded. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AssertionError,
  type Device,
  FaultDevice,
  faultRegionBytes,
  memoryLink,
  NO_FAULTS,
  OFFLOAD_NONE,
  offload,
  Region,
  RX_CSUM_PARTIAL,
  VirtualClock,
} from '../src/index.ts'
import { isSpared } from '../src/wrap/fault.ts'
import { bench, bytesOf, hex, numbered, numberOf } from './faultBench.ts'
import { GatherPort } from './gatherPort.ts'
import { checksumsHold, tcpFrame } from './tcpFrame.ts'

test('ARP and neighbour discovery pass untouched, undropped, at once and in both directions', () => {
  const b = bench({ drop: 1, corrupt: 1, dup: 1, reorder: 1, delayUs: 1e6 })
  const arp = new Uint8Array(42)
  new DataView(arp.buffer).setUint16(12, 0x0806)
  const ndp = (type: number): Uint8Array => {
    const frame = new Uint8Array(78)
    frame.set([0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, 255], 12)
    frame[54] = type
    return frame
  }
  for (const frame of [arp, ndp(133), ndp(135), ndp(136), ndp(137)]) {
    b.region.bytes.set(frame, b.off)
    b.device.push(b.off, frame.length, OFFLOAD_NONE)
    b.device.flush()
    b.far.push(b.off, frame.length, OFFLOAD_NONE)
    b.far.flush()
    assert.equal(b.far.rx(), 1)
    assert.deepEqual(bytesOf(b.far, 0), frame)
    assert.equal(b.device.rx(), 1)
    assert.deepEqual(bytesOf(b.device, 0), frame)
  }
  assert.equal(b.device.txFaults.spared, 5)
  assert.equal(b.device.rxFaults.spared, 5)
  const others = [ndp(132), ndp(138), arp.subarray(0, 13), ndp(135).subarray(0, 54)]
  for (const frame of others) {
    b.region.bytes.set(frame, b.off)
    assert.equal(isSpared(b.region.view, b.off, frame.length), false)
  }
})

test('a delayed frame arrives when it is due, not before, in both directions and in order', () => {
  const b = bench({ delayUs: 5000 })
  for (let n = 0; n < 3; n++) {
    numbered(b.region, b.off, n)
    b.device.push(b.off, 64, OFFLOAD_NONE)
    b.device.flush()
    b.far.push(b.off, 64, OFFLOAD_NONE)
    b.far.flush()
    assert.equal(b.device.rx(), 0)
    assert.equal(b.far.rx(), 0)
    b.clock.advance(1000)
  }
  assert.equal(b.device.nextUs, 5000)
  const arrivals: string[] = []
  for (; b.clock.nowUs <= 8000; b.clock.advance(500)) {
    for (let i = 0, n = b.device.rx(); i < n; i++) {
      arrivals.push(`in ${numberOf(hex(b.device, i))} at ${b.clock.nowUs}`)
    }
    for (let i = 0, n = b.far.rx(); i < n; i++) {
      arrivals.push(`out ${numberOf(hex(b.far, i))} at ${b.clock.nowUs}`)
    }
  }
  assert.deepEqual(arrivals, [
    'in 0 at 5000',
    'out 0 at 5000',
    'in 1 at 6000',
    'out 1 at 6000',
    'in 2 at 7000',
    'out 2 at 7000',
  ])
  assert.equal(b.device.nextUs, Number.POSITIVE_INFINITY)
})

test('wait sleeps no longer than until the next frame is due', () => {
  const b = bench({ delayUs: 5000 })
  b.device.wait(-1)
  b.device.wait(70)
  numbered(b.region, b.off, 0)
  b.device.push(b.off, 64, OFFLOAD_NONE)
  b.device.flush()
  b.clock.advance(2000)
  b.far.push(b.off, 64, OFFLOAD_NONE)
  b.far.flush()
  b.device.rx()
  b.device.wait(-1)
  b.device.wait(9000)
  b.device.wait(10)
  b.clock.advance(3000)
  b.device.wait(-1) // the frame to send is due, and sent; the received one is due in 2 ms
  assert.equal(b.far.rx(), 1)
  assert.deepEqual(b.sleeper.waits, [-1, 70, 3000, 3000, 10, 2000])
  b.clock.advance(2000)
  b.device.wait(-1) // does not sleep: a received frame is ready
  assert.equal(b.sleeper.waits.length, 6)
  assert.equal(b.device.rx(), 1)
})

test('a held frame that nothing passes goes on after a few milliseconds', () => {
  for (const way of ['out', 'in']) {
    const b = bench({ reorder: 1 })
    numbered(b.region, b.off, 1)
    const [from, to]: [Device, Device] = way === 'out' ? [b.device, b.far] : [b.far, b.device]
    from.push(b.off, 64, OFFLOAD_NONE)
    from.flush()
    assert.equal(to.rx(), 0)
    b.device.wait(-1)
    assert.deepEqual(b.sleeper.waits, [3000])
    b.clock.advance(3000)
    b.device.wait(-1)
    assert.equal(b.sleeper.waits.length, way === 'out' ? 2 : 1)
    assert.equal(to.rx(), 1)
  }
})

test('while much is delayed, txSpace holds the sender back and nothing pushed is lost', () => {
  for (const dup of [0, 1]) {
    const b = bench({ delayUs: 5000, dup }, 64)
    let pushed = 0
    for (; b.device.txSpace() > 0; pushed++) {
      numbered(b.region, b.off, pushed)
      b.device.push(b.off, 64, OFFLOAD_NONE)
      b.device.flush()
      b.device.reclaim()
    }
    assert.equal(pushed, dup === 1 ? 32 : 64)
    b.clock.advance(5000)
    b.device.rx()
    assert.equal(b.far.rx(), 64)
    assert.equal(b.device.txFaults.overflowed, 0)
    b.far.rx()
    b.device.reclaim()
    assert.equal(b.device.txSpace(), pushed)
  }
})

test('txSpace also counts the completions that reclaim can report', () => {
  const b = bench({}, 32)
  for (let n = 0; n < 32; n++) b.device.push(b.off, 64, OFFLOAD_NONE)
  b.device.flush()
  b.far.rx()
  b.far.rx()
  b.device.rx() // gets the buffers back, but the caller has not been told
  assert.equal(b.device.txSpace(), 0)
  assert.equal(b.device.reclaim(), 32)
  assert.equal(b.device.txSpace(), 32)
})

test('with a full ring inside, wait leaves it to the inner device to wake us, and ARP waits too', () => {
  const b = bench({ delayUs: 10 })
  for (let n = 0; n < 300; n++) {
    numbered(b.region, b.off, n)
    b.device.push(b.off, 64, OFFLOAD_NONE)
  }
  b.clock.advance(10)
  b.device.wait(-1)
  b.region.view.setUint16(b.off + 12, 0x0806)
  b.device.push(b.off, 42, OFFLOAD_NONE)
  b.device.wait(-1)
  assert.deepEqual(b.sleeper.waits, [-1, -1])
  const lens: number[] = []
  for (let turn = 0; turn < 12; turn++) {
    for (let i = 0, n = b.far.rx(); i < n; i++) lens.push(b.far.rxLen[i])
    b.device.rx()
  }
  assert.deepEqual(lens, [...Array(300).fill(64), 42])
})

test('a closed device delivers and sends nothing that it still held', () => {
  const b = bench({ delayUs: 10 })
  b.device.push(b.off, 64, OFFLOAD_NONE)
  b.device.flush()
  b.far.push(b.off, 64, OFFLOAD_NONE)
  b.far.flush()
  b.device.rx()
  b.device.close()
  b.clock.advance(10)
  b.device.wait(0)
  assert.equal(b.device.rx(), 0)
  assert.equal(b.far.rx(), 0)
  assert.equal(b.device.reclaim(), 1)
})

test('a ring of the inner device that is full delays frames, and loses none', () => {
  const b = bench({})
  for (let n = 0; n < 600; n++) {
    numbered(b.region, b.off, n)
    b.device.push(b.off, 64, OFFLOAD_NONE)
  }
  const got: number[] = []
  for (let turn = 0; turn < 30; turn++) {
    b.device.flush()
    for (let i = 0, n = b.far.rx(); i < n; i++) got.push(numberOf(hex(b.far, i)))
    b.device.reclaim()
  }
  assert.deepEqual(got, [...Array(600).keys()])
})

test('received frames beyond the buffers, and too large for one, are counted losses', () => {
  const b = bench({ delayUs: 5000 }, 64)
  for (let n = 0; n < 100; n++) {
    numbered(b.region, b.off, n)
    b.far.push(b.off, 64, OFFLOAD_NONE)
    b.far.flush()
    b.device.rx()
  }
  assert.equal(b.device.rxFaults.overflowed, 36)
  b.clock.advance(5000)
  assert.equal(b.device.rx(), 64)
  const region = new Region(1 << 23)
  const [a, far] = memoryLink({ region })
  const setup = { clock: b.clock.read, frames: 8, rxFrameBytes: 999 }
  const small = new FaultDevice(a, NO_FAULTS, setup)
  far.push(0, 1000, OFFLOAD_NONE)
  far.push(0, 999, OFFLOAD_NONE)
  far.flush()
  assert.equal(small.rx(), 1)
  assert.equal(small.rxFaults.overflowed, 1)
})

test('offloads are masked, and a partial checksum is completed before the faults', () => {
  const region = new Region(1 << 23)
  const content = new Region(65536)
  const [a, far] = memoryLink({ region })
  const port = new GatherPort(a, content)
  const clock = new VirtualClock()
  const device = new FaultDevice(port, NO_FAULTS, { clock: clock.read, content })
  assert.deepEqual(device.caps, {
    txChecksum: false,
    gsoMaxBytes: 0,
    gather: true,
    zeroCopy: false,
  })
  assert.throws(() => device.push(0, 60, offload(4, 34, 0)), AssertionError)
  port.flags = RX_CSUM_PARTIAL
  const off = region.reserve(4096)
  for (const version of [4, 6] as const) {
    region.bytes.set(tcpFrame(version, 333, true), off)
    far.push(off, tcpFrame(version, 333).length, OFFLOAD_NONE)
    far.flush()
    assert.equal(device.rx(), 1)
    assert.equal(device.rxFlags[0], 0)
    assert.deepEqual(bytesOf(device, 0), tcpFrame(version, 333))
  }
})

test('a super-frame comes as the segments that the hardware would have made of it', () => {
  for (const version of [4, 6] as const) {
    const whole = tcpFrame(version, 7000, true)
    const tcp = whole.length - 7020
    whole[tcp + 13] = 0x99 // CWR, ACK, PSH, FIN
    const region = new Region(1 << 24)
    const [a, far] = memoryLink({ region, mtu: 9000 })
    const device = new FaultDevice(a, NO_FAULTS, { clock: () => 0, frames: 16, rxFrameBytes: 1514 })
    const off = region.reserve(9100)
    region.bytes.set(whole, off)
    far.push(off, whole.length, OFFLOAD_NONE)
    far.flush()
    assert.equal(device.rx(), 5)
    const segments = [0, 1, 2, 3, 4].map(i => bytesOf(device, i))
    const bodies = segments.map(segment => segment.subarray(tcp + 20))
    assert.deepEqual(Buffer.concat(bodies), Buffer.from(whole.subarray(tcp + 20)))
    let seq = 1
    for (const [i, segment] of segments.entries()) {
      const view = new DataView(segment.buffer)
      assert.ok(checksumsHold(segment), `segment ${i}`)
      assert.equal(segment.length <= 1514, true)
      assert.equal(view.getInt32(tcp + 4), seq)
      assert.equal(segment[tcp + 13], [0x90, 0x10, 0x10, 0x10, 0x19][i])
      if (version === 4)
        assert.deepEqual([view.getUint16(16), view.getUint16(18)], [segment.length - 14, i])
      else assert.equal(view.getUint16(18), segment.length - 54)
      seq += bodies[i].length
    }
    assert.equal(device.rxFaults.entered, 5)
    assert.equal(device.rxFaults.overflowed, 0)
  }
})

test('a checksum catches every flipped bit of a TCP segment over IPv4', () => {
  const b = bench({ corrupt: 1 })
  b.region.bytes.set(tcpFrame(4, 100), b.off)
  for (let i = 0; i < 2000; i++) {
    b.far.push(b.off, 154, OFFLOAD_NONE)
    b.far.flush()
    assert.equal(b.device.rx(), 1)
    assert.equal(checksumsHold(bytesOf(b.device, 0)), false)
    b.far.reclaim()
  }
})

test('faultRegionBytes is what the wrapper reserves', () => {
  const setup = { clock: () => 0, frames: 100, rxFrameBytes: 65549 }
  const bytes = faultRegionBytes(9000, setup)
  const [a] = memoryLink({ region: new Region(bytes, 0, bytes), mtu: 9000 })
  new FaultDevice(a, NO_FAULTS, setup)
  assert.ok(a.region.unreservedBytes <= 8192)
  const [c] = memoryLink({ region: new Region(faultRegionBytes(1500)) })
  new FaultDevice(c, NO_FAULTS, { clock: () => 0 })
})
