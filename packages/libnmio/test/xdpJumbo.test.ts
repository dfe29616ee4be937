/**
 * Frames in several chunks (af_xdp.rst, "Multi-Buffer Support"), against a plain packet socket at
 * the other end of a veth pair.
 */
import assert from 'node:assert/strict'
import { afterEach, before, describe, test } from 'node:test'
import {
  BATCH_MAX,
  closeHandle,
  OFFLOAD_NONE,
  openXdp,
  Region,
  XdpDevice,
  type XdpHandle,
  xdpRegionBytes,
} from '../src/index.ts'
import { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } from '../src/sys/bpf.ts'
import { EINVAL, ENODEV } from '../src/sys/errno.ts'
import { libc } from '../src/sys/libc.ts'
import { hasMultiBuffer, openXskSocket } from '../src/sys/xsk.ts'
import { piecesAt } from '../src/xdp/joiner.ts'
import { RX_CHUNKS } from '../src/xdp/layout.ts'
import { type Peer, testFrame } from './device.suite.ts'
import { assertNoGarbage } from './garbage.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { ip, makeVeth, removeVeth, socketPeer } from './veth.ts'
import { openTestXdp, type TestXdp } from './xdpTest.ts'

const needsNic = unless(nicProblem())
if (needsNic.skip === false) before(ownNamespace)

const CELL = 16384
const CELLS = 1024
/** A chunk is 4096 bytes, of which the kernel fills 3840. */
const LENS = [60, 3498, 3499, 3512, 3840, 3841, 4096, 7680, 7681, 9013, 9014]
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

interface Port {
  readonly handle: XdpHandle
  readonly device: XdpDevice
  readonly peer: Peer
  /** Where the test's own cells begin. */
  readonly cells: number
}

/** A device at one end of a cable of MTU 9000, a socket at the other. */
function makePort(options: TestXdp): Port {
  makeVeth('near', 'far', 9000)
  closers.push(() => removeVeth('near'))
  const peer = socketPeer('far')
  closers.push(() => peer.close())
  const handle = openTestXdp('near', options)
  closers.push(() => closeHandle(handle))
  const region = new Region(xdpRegionBytes(handle) + (CELLS + 1) * CELL)
  return { ...makeDevice(handle, region), handle, peer }
}

function makeDevice(handle: XdpHandle, region: Region): Pick<Port, 'device' | 'cells'> {
  const device = new XdpDevice(handle, region)
  closers.push(() => device.close())
  return { device, cells: region.reserveFrames(CELLS * CELL, 4096) }
}

/** Puts frame `seq` at byte `at` of its cell, and pushes it; returns where it lies. */
function push(
  { device, cells }: Pick<Port, 'device' | 'cells'>,
  seq: number,
  len: number,
  at: number,
): number {
  const off = cells + (seq % CELLS) * CELL + at
  device.region.bytes.set(testFrame(seq, len), off)
  device.push(off, len, OFFLOAD_NONE)
  return off
}

/** Runs `turn` until it has returned `count` in all. */
function until(device: XdpDevice, count: number, turn: () => number): void {
  let got = 0
  for (let idle = 0; got < count && idle < 200; idle++) {
    const news = turn()
    got += news
    if (news > 0) idle = 0
    else device.wait(5000)
  }
  assert.equal(got, count, 'frames that came')
}

/** The next frames that come have the lengths `lenOf(first)`, `lenOf(first + 1)`, … */
function take(
  device: XdpDevice,
  first: number,
  count: number,
  lenOf: (seq: number) => number,
): void {
  let seq = first
  until(device, count, () => {
    const n = device.rx()
    for (let i = 0; i < n; i++, seq++) {
      const off = device.rxOff[i]
      assert.deepEqual(
        device.region.bytes.slice(off, off + device.rxLen[i]),
        testFrame(seq, lenOf(seq)),
      )
    }
    return n
  })
}

const someLen = (seq: number): number => LENS[(seq * 7) % LENS.length]

for (const [name, mode] of [
  ['native', XDP_FLAGS_DRV_MODE],
  ['generic', XDP_FLAGS_SKB_MODE],
] as const) {
  describe(`frames of up to 9 KB, ${name}`, needsNic, () => {
    test('of one chunk and of several come whole and in order', () => {
      const { device, peer } = makePort({ mtu: 9000, mode })
      // More chunks than there are, so that the kernel sees what it is given back.
      const count = 3000
      for (let seq = 0; seq < count; seq += 40) {
        for (let i = 0; i < 40; i++) assert.ok(peer.send(testFrame(seq + i, someLen(seq + i))))
        take(device, seq, 40, someLen)
      }
      const { rxFrames, rxBytes, rxDropped } = device.stats
      const bytes = Array.from({ length: count }, (_, seq) => someLen(seq)).reduce((a, b) => a + b)
      assert.deepEqual([rxFrames, rxBytes, rxDropped], [count, bytes, 0])
      // And each is back, once: nearly as many frames find one of their own.
      for (let seq = 0; seq < RX_CHUNKS - 96; seq++) assert.ok(peer.send(testFrame(seq, 60)))
      take(device, 0, RX_CHUNKS - 96, () => 60)
    })

    test('leave whole and in order, wherever they begin, and are reported once, in that order', () => {
      const port = makePort({ mtu: 9000, mode })
      const { device, peer } = port
      const pushed: number[] = []
      const done: number[] = []
      const places = [0, 1, 90, 582, 4036, 4095, 4096, 7000]
      const placeOf = (seq: number): number => places[seq % places.length]
      for (let first = 0; first < 600; first += 40) {
        for (let seq = first; seq < first + 40; seq++) {
          pushed.push(push(port, seq, someLen(seq), placeOf(seq)))
        }
        let next = first
        until(device, 40, () => {
          device.flush()
          const n = peer.receive()
          for (let i = 0; i < n; i++, next++) {
            assert.deepEqual(peer.frame(i), testFrame(next, someLen(next)))
          }
          return n
        })
        until(device, 40, () => {
          const n = device.reclaim()
          for (let i = 0; i < n; i++) done.push(device.doneOff[i])
          return n
        })
      }
      assert.deepEqual(done, pushed)
      assert.equal(device.stats.txFrames, 600)
      assert.equal(device.stats.txDropped, 0)
    })
  })
}

test('a full ring of the longest frames leaves whole', needsNic, () => {
  const port = makePort({ mtu: 9000 })
  const { device, peer } = port
  const space = device.txSpace()
  let next = 0
  assert.equal(space, CELLS)
  // At the worst place: four pieces each.
  for (let seq = 0; seq < space; seq++) push(port, seq, 9014, 4095)
  assert.equal(device.txSpace(), 0)
  until(device, space, () => {
    device.flush()
    device.reclaim()
    const n = peer.receive()
    for (let i = 0; i < n; i++, next++) assert.deepEqual(peer.frame(i), testFrame(next, 9014))
    return n
  })
  until(device, 1, () => {
    device.reclaim()
    return Number(device.txSpace() === space)
  })
})

test(
  'a packet longer than our frames is dropped and counted, and its chunks are not lost',
  needsNic,
  () => {
    const { device, peer } = makePort({ mtu: 4000 })
    const rounds = Math.ceil((2 * RX_CHUNKS) / 3 / 40)
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 40; i++) assert.ok(peer.send(testFrame(i, 9014)))
      assert.ok(peer.send(testFrame(round, 4014)))
      take(device, round, 1, () => 4014)
    }
    assert.equal(device.stats.rxDropped, rounds * 40)
    assert.equal(device.stats.rxFrames, rounds)
  },
)

test('a packet whose last chunk has not come is left for the next rx', needsNic, () => {
  // struct xdp_desc { u64 addr; u32 len, options }, in a ring of eight.
  const words = new Int32Array(32)
  const ring = { words, entry: (i: number): number => (i & 7) * 4 }
  for (const i of [6, 7]) words[ring.entry(i) + 3] = 1
  assert.equal(piecesAt(ring, 6, 1), 0)
  assert.equal(piecesAt(ring, 6, 2), 0)
  assert.equal(piecesAt(ring, 6, 3), 3)
  assert.equal(piecesAt(ring, 6, 5), 3)
  assert.equal(piecesAt(ring, 0, 1), 1)
})

test('who takes over from a thread that died under way sends and receives on', needsNic, () => {
  const dead = makePort({ mtu: 9000 })
  const { handle, peer } = dead
  for (let seq = 0; seq < 20; seq++) push(dead, seq, 9014, 90)
  dead.device.flush()
  for (let seq = 20; seq < 25; seq++) push(dead, seq, 9014, 90) // nobody was told of these
  for (let seq = 0; seq < BATCH_MAX + 30; seq++) assert.ok(peer.send(testFrame(seq, 9014)))
  assert.equal(dead.device.rx(), BATCH_MAX)
  let left = 0
  for (let n = peer.receive(); n > 0; n = peer.receive()) left += n
  assert.equal(left, 20)

  const port = makeDevice(handle, new Region(dead.device.region.memory))
  take(port.device, BATCH_MAX, 30, () => 9014)
  for (let seq = 0; seq < 20; seq++) push(port, seq, 9000 + (seq % 14), 90)
  let next = 0
  until(port.device, 20, () => {
    port.device.flush()
    const n = peer.receive()
    for (let i = 0; i < n; i++, next++) {
      assert.deepEqual(peer.frame(i), testFrame(next, 9000 + (next % 14)))
    }
    return n
  })
  until(port.device, 20, () => port.device.reclaim())
})

test('a packet in pieces costs no garbage', needsNic, async () => {
  const { device, peer, cells } = makePort({ mtu: 9000 })
  const frame = testFrame(0, 9014)
  for (let k = 0; k < 16; k++) device.region.bytes.set(frame, cells + k * CELL + 90)
  await assertNoGarbage(() => {
    for (let i = 0; i < 100; i++) {
      for (let k = 0; k < 16; k++) {
        device.push(cells + k * CELL + 90, 9014, OFFLOAD_NONE)
        peer.send(frame)
      }
      device.flush()
      while (device.rx() > 0);
      while (device.reclaim() > 0);
    }
  })
  assert.ok(device.stats.rxFrames > 40 * 1500, `${device.stats.rxFrames} frames came`)
  assert.ok(device.stats.txFrames > 40 * 1500, `${device.stats.txFrames} frames left`)
})

test('the MTU is the interface’s, up to 9000, by a program in the driver', needsNic, () => {
  const options = { interfaceName: 'near', addresses: [], port: 80, offloads: true }
  for (const [mtu, ours] of [
    [1500, 1500],
    [3498, 3498],
    [3499, 3499],
    [9000, 9000],
    [20000, 9000],
  ]) {
    makeVeth('near', 'far', mtu)
    ip('addr', 'add', '10.99.0.1/24', 'dev', 'near')
    const handle = openXdp(options)
    closeHandle(handle)
    assert.deepEqual([handle.mtu, handle.isNative], [ours, true])
    if (mtu > ours) {
      assert.throws(() => openXdp({ ...options, mtu: ours + 1 }), /MTU 9001.*give 9000 at most/)
      assert.match(ip('link', 'show', 'near'), /^((?!xdp).)*$/s, 'and nothing was attached')
    }
    removeVeth('near')
  }
})

test('where the driver has no XDP, the kernel’s own takes frames of 9 KB as well', needsNic, () => {
  ip('link', 'add', 'near', 'mtu', '9000', 'type', 'bridge')
  closers.push(() => removeVeth('near'))
  ip('link', 'set', 'near', 'up')
  ip('addr', 'add', '10.99.0.1/24', 'dev', 'near')
  const handle = openXdp({ interfaceName: 'near', addresses: [], port: 80, offloads: true })
  closeHandle(handle)
  assert.deepEqual([handle.mtu, handle.isNative], [9000, false])
})

test('the kernel says whether it has multi-buffer, and the socket stays unbound', needsNic, () => {
  const fd = openXskSocket()
  closers.push(() => libc().close(fd))
  const bind = (flags: number): number => {
    const address = new Uint8Array(16)
    new DataView(address.buffer).setUint16(0, 44, true)
    new DataView(address.buffer).setUint16(2, flags, true)
    assert.equal(libc().bind(fd, address, 16), -1)
    return libc().errno()
  }
  assert.equal(bind(1 << 14), EINVAL, 'of a flag that it does not know it says so')
  assert.equal(bind(0), ENODEV)
  assert.equal(hasMultiBuffer(fd), bind(1 << 4) === ENODEV)
})
