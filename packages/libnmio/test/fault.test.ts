/** The bad network: rates, repeatability, what it spares, and that it is bounded and on time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AssertionError,
  type Device,
  FaultDevice,
  type FaultOptions,
  faultRegionBytes,
  type MemoryPort,
  memoryLink,
  NO_FAULTS,
  OFFLOAD_NONE,
  offload,
  parseFault,
  Region,
  RX_CSUM_PARTIAL,
  VirtualClock,
} from '../src/index.ts'
import { DelegateDevice } from '../src/wrap/delegate.ts'
import { isSpared } from '../src/wrap/fault.ts'
import { GatherPort } from './gatherport.ts'
import { checksumsHold, tcpFrame } from './tcpframe.ts'

/** Records what wait was asked for. */
class Sleeper extends DelegateDevice {
  readonly waits: number[] = []
  override wait(timeoutUs: number): void {
    this.waits.push(timeoutUs)
  }
}

interface Bench {
  region: Region
  clock: VirtualClock
  sleeper: Sleeper
  device: FaultDevice
  far: MemoryPort
  off: number
}

function bench(faults: Partial<FaultOptions>, frames = 1024): Bench {
  const region = new Region(1 << 23)
  const [a, far] = memoryLink({ region, ringSize: 256 })
  const clock = new VirtualClock()
  const sleeper = new Sleeper(a)
  const setup = { clock: clock.read, frames }
  const device = new FaultDevice(sleeper, { ...NO_FAULTS, ...faults }, setup)
  return { region, clock, sleeper, device, far, off: region.reserve(4096) }
}

/** A frame of the local-experiment EtherType that carries a number. */
function numbered(region: Region, off: number, n: number, len = 64): void {
  region.bytes.fill(0, off, off + len)
  region.view.setUint16(off + 12, 0x88b5)
  region.view.setUint32(off + 14, n)
}

/** Sends frames 0 … count-1 out, one by one; returns what the far end got, as hex. */
function sendThrough(b: Bench, count: number): string[] {
  const got: string[] = []
  const receive = (): void => {
    for (let n = b.far.rx(); n > 0; n = b.far.rx())
      for (let i = 0; i < n; i++) got.push(hex(b.far, i))
  }
  for (let i = 0; i < count; i++) {
    numbered(b.region, b.off, i)
    b.device.push(b.off, 64, OFFLOAD_NONE)
    b.device.flush()
    receive()
    assert.equal(b.device.reclaim(), 1)
    assert.equal(b.device.doneOff[0], b.off)
  }
  b.clock.advance(100_000)
  b.device.rx()
  receive()
  return got
}

/** The same the other way. */
function receiveThrough(b: Bench, count: number): string[] {
  const got: string[] = []
  const receive = (): void => {
    for (let n = b.device.rx(); n > 0; n = b.device.rx()) {
      for (let i = 0; i < n; i++) got.push(hex(b.device, i))
    }
  }
  for (let i = 0; i < count; i++) {
    numbered(b.region, b.off, i)
    b.far.push(b.off, 64, OFFLOAD_NONE)
    b.far.flush()
    receive()
    b.far.reclaim()
  }
  b.clock.advance(100_000)
  receive()
  return got
}

const bytesOf = (d: Device, i: number): Uint8Array =>
  d.region.bytes.slice(d.rxOff[i], d.rxOff[i] + d.rxLen[i])
const hex = (d: Device, i: number): string => Buffer.from(bytesOf(d, i)).toString('hex')
const numberOf = (frame: string): number => Number.parseInt(frame.slice(28, 36), 16)

/** The numbers of the bits in which two frames differ. */
function flippedBits(frame: string, sent: string): number[] {
  const a = Buffer.from(frame, 'hex')
  const b = Buffer.from(sent, 'hex')
  const bits: number[] = []
  for (let i = 0; i < a.length * 8; i++) {
    if (((a[i >> 3] ^ b[i >> 3]) >> (i & 7)) & 1) bits.push(i)
  }
  return bits
}

const WAYS = { out: sendThrough, in: receiveThrough } as const

for (const [way, through] of Object.entries(WAYS)) {
  const statsOf = (b: Bench) => (way === 'out' ? b.device.txFaults : b.device.rxFaults)

  test(`${way}: faults come as often as asked`, () => {
    const count = 100_000
    const p = 0.05
    const b = bench({ drop: p, dup: p, reorder: p, corrupt: p, seed: 11 })
    const got = through(b, count)
    const stats = statsOf(b)
    assert.equal(stats.entered, count)
    assert.equal(stats.overflowed, 0)
    assert.equal(got.length, count - stats.dropped + stats.duplicated)
    const near = (what: string, value: number, probability: number): void => {
      const sigma = Math.sqrt(count * probability * (1 - probability))
      const off = Math.abs(value - count * probability)
      assert.ok(off < 4 * sigma, `${what}: ${value}, ${(off / sigma).toFixed(1)} sigma off`)
    }
    near('dropped', stats.dropped, p)
    near('duplicated', stats.duplicated, p * (1 - p))
    near('reordered', stats.reordered, p * (1 - p))
    near('corrupted', stats.corrupted, p * (1 - p))
  })

  test(`${way}: the same seed brings the same faults, another seed others`, () => {
    const faults = { drop: 0.1, dup: 0.1, reorder: 0.1, corrupt: 0.1 }
    const first = through(bench({ ...faults, seed: 5 }), 500)
    assert.deepEqual(through(bench({ ...faults, seed: 5 }), 500), first)
    assert.notDeepEqual(through(bench({ ...faults, seed: 6 }), 500), first)
  })

  test(`${way}: what befalls a frame does not depend on the other faults`, () => {
    const numbers = (faults: Partial<FaultOptions>): Set<number> =>
      new Set(through(bench({ drop: 0.3, seed: 9, ...faults }), 500).map(numberOf))
    const alone = numbers({})
    assert.deepEqual(numbers({ dup: 0.5 }), alone)
    const b = bench({ drop: 0.3, seed: 9, corrupt: 0.5, reorder: 0.5 })
    assert.equal(through(b, 500).length, alone.size)
  })

  test(`${way}: reordering loses nothing, and moves a frame behind at most a few others`, () => {
    const b = bench({ reorder: 0.2, seed: 2 })
    const got = through(b, 5000).map(numberOf)
    assert.deepEqual(
      [...got].sort((x, y) => x - y),
      [...Array(5000).keys()],
    )
    const inTime: number[] = []
    for (const n of got) {
      if (n > (inTime.at(-1) ?? -1)) {
        inTime.push(n)
        continue
      }
      // Overtaken by one to three frames that were not held back themselves.
      assert.ok(n < inTime.at(-1)! && n > (inTime.at(-4) ?? -1), `frame ${n}`)
    }
    const late = got.length - inTime.length
    const reordered = statsOf(b).reordered
    assert.ok(late > 500 && late <= reordered && late >= reordered - 8, `${late} of ${reordered}`)
  })

  test(`${way}: corruption flips exactly one bit, anywhere behind the Ethernet header`, () => {
    const got = through(bench({ corrupt: 1, seed: 8 }), 4000)
    const seen = new Set<number>()
    const scratch = new Region(64)
    for (const [n, frame] of got.entries()) {
      numbered(scratch, 0, n)
      const bits = flippedBits(frame, Buffer.from(scratch.bytes).toString('hex'))
      assert.equal(bits.length, 1, `frame ${n}: bits ${bits}`)
      assert.ok(bits[0] >= 14 * 8)
      seen.add(bits[0])
    }
    assert.equal(seen.size, 50 * 8, 'every bit has its turn')
  })
}

test('the two directions have faults of their own', () => {
  const one = sendThrough(bench({ drop: 0.5 }), 200)
  const other = receiveThrough(bench({ drop: 0.5 }), 200)
  assert.notDeepEqual(one, other)
})

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
  const [a] = memoryLink({ region: new Region(bytes), mtu: 9000 })
  new FaultDevice(a, NO_FAULTS, setup)
  assert.ok(a.region.unreservedBytes <= 8192)
  const [c] = memoryLink({ region: new Region(faultRegionBytes(1500)) })
  new FaultDevice(c, NO_FAULTS, { clock: () => 0 })
})

test('the faults of a command line', () => {
  assert.deepEqual(parseFault('drop=0.01,dup=.5,reorder=1,corrupt=0,delay=5ms,seed=42'), {
    drop: 0.01,
    dup: 0.5,
    reorder: 1,
    corrupt: 0,
    delayUs: 5000,
    seed: 42,
  })
  assert.deepEqual(parseFault('seed=4294967295'), { ...NO_FAULTS, seed: 4294967295 })
  assert.equal(parseFault('delay=300us').delayUs, 300)
  assert.equal(parseFault('delay=0.5s').delayUs, 500_000)
})

test('a mistake on the command line is named with what was expected', () => {
  const cases: [string, string, RegExp][] = [
    ['drop=1.01', 'drop=1.01', /probability from 0 to 1/],
    ['drop=', 'drop=', /probability/],
    ['dup=-0.1', 'dup=-0.1', /probability/],
    ['corrupt=1e-2', 'corrupt=1e-2', /probability/],
    ['reorder', 'reorder', /probability/],
    ['drop=0.1,delay=5', 'delay=5', /unit/],
    ['delay=61s', 'delay=61s', /up to 60s/],
    ['delay=-1ms', 'delay=-1ms', /unit/],
    ['seed=4294967296', 'seed=4294967296', /integer from 0/],
    ['seed=x', 'seed=x', /integer/],
    ['loss=0.1', 'loss=0.1', /drop, dup, reorder, corrupt, delay, seed/],
    ['drop=0.1,drop=0.2', 'drop=0.2', /only once/],
    ['drop=0.1,', '', /KEY=VALUE/],
    ['', '', /KEY=VALUE/],
  ]
  for (const [text, item, expected] of cases) {
    assert.throws(
      () => parseFault(text),
      (error: Error) => error.message.includes(`"${item}"`) && expected.test(error.message),
      text,
    )
  }
})
