/**
 * PacketDevice beyond the contract: frames too long for a slot, tags, a full ring, memory, garbage.
 */
import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { Assembler } from '../src/bpf/assembler.ts'
import { filterProgram } from '../src/bpf/steer.ts'
import {
  closeHandle,
  OFFLOAD_NONE,
  offload,
  openPacket,
  PacketDevice,
  type PacketHandle,
  packetRegionBytes,
  Region,
  RX_CSUM_PARTIAL,
} from '../src/index.ts'
import { loadProgram, PROG_TYPE_SOCKET_FILTER } from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { attachFilter } from '../src/sys/packet.ts'
import { testFrame } from './device.suite.ts'
import { assertNoGarbage } from './garbage.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { tcpFrame } from './tcpFrame.ts'
import { assertFollowsMtu, makeVeth, removeVeth } from './veth.ts'

const needsNic = unless(nicProblem())
if (needsNic.skip === false) before(ownNamespace)

const FRAMES_LEN = 1 << 18
const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})

interface Port {
  readonly handle: PacketHandle
  readonly device: PacketDevice
  readonly content: Region
  /** Where the test's own frames begin. */
  readonly frames: number
}

function letAllIn(fd: number): void {
  const asm = new Assembler()
  asm.set(0, 0x7fffffff)
  asm.exit()
  attachProgram(fd, asm.bytes())
}

function attachProgram(fd: number, bytes: Uint8Array): void {
  const program = loadProgram(PROG_TYPE_SOCKET_FILTER, 0, bytes)
  attachFilter(fd, program)
  libc().close(program)
}

function port(interfaceName: string, address: string, more = 0): Port {
  const handle = openPacket({ interfaceName, addresses: [address], port: 80, offloads: true })
  letAllIn(handle.fd)
  const region = new Region(packetRegionBytes(handle) + FRAMES_LEN + 64 + more)
  const content = new Region(1 << 18)
  const device = new PacketDevice(handle, region, content)
  closers.push(() => {
    device.close()
    closeHandle(handle)
  })
  return { handle, device, content, frames: region.reserve(FRAMES_LEN) + 16 }
}

/** A device at either end of a cable. */
function pair(more = 0): [Port, Port] {
  makeVeth('near', 'far')
  closers.push(() => removeVeth('near'))
  return [port('near', '10.9.0.2/24', more), port('far', '10.9.0.3/24', more)]
}

/** Pushes `frame` from the port's own memory, at `at` of it. */
function push({ device, frames }: Port, at: number, frame: Uint8Array): void {
  device.region.bytes.set(frame, frames + at)
  device.push(frames + at, frame.length, OFFLOAD_NONE)
}

const received = ({ device }: Port, i: number): Uint8Array =>
  device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i])

test('a frame too long for its slot comes whole, in its place among the others', needsNic, () => {
  const [near, far] = pair()
  const large = tcpFrame(4, 40_000, true)
  for (let round = 0; round < 20; round++) {
    push(near, 0, testFrame(1, 100))
    near.device.region.bytes.set(large.subarray(0, 54), near.frames + 2048)
    near.content.bytes.set(large.subarray(54), 64)
    near.device.gather(near.frames + 2048, 54, 64, 40_000, offload(4, 34, 1448))
    push(near, 4096, testFrame(2, 100))
    near.device.flush()
    assert.equal(near.device.reclaim(), 3)
    assert.equal(far.device.rx(), 3)
    assert.deepEqual(received(far, 0), testFrame(1, 100))
    assert.deepEqual(received(far, 1), large)
    assert.equal(far.device.rxFlags[1], RX_CSUM_PARTIAL)
    assert.deepEqual(received(far, 2), testFrame(2, 100))
  }
  assert.equal(far.device.stats.rxDropped, 0)
})

test(
  'frames of a VLAN are another network’s, with a priority alone they are ours',
  needsNic,
  () => {
    const [near, far] = pair()
    const steering = { own: [Uint8Array.of(10, 9, 0, 3)], shared: [], port: 80 }
    attachProgram(far.handle.fd, filterProgram(steering))
    const plain = tcpFrame(4, 100, false)
    plain.set([10, 9, 0, 3], 30)
    const tagged = (tag: number[]): Uint8Array =>
      Buffer.concat([plain.subarray(0, 12), Uint8Array.of(0x81, 0x00, ...tag), plain.subarray(12)])
    push(near, 0, tagged([0x00, 0x05]))
    push(near, 2048, tagged([0xa0, 0x00]))
    push(near, 4096, plain)
    near.device.flush()
    assert.equal(far.device.rx(), 2)
    for (const i of [0, 1]) assert.deepEqual(received(far, i), plain)
    assert.equal(far.device.stats.rxDropped, 0)
  },
)

test('what finds the ring full is lost and counted, and the ring goes on', needsNic, () => {
  const [near, far] = pair()
  const { slotCount } = far.handle.ring
  for (let sent = 0; sent < slotCount + 1000; sent++) {
    push(near, 0, testFrame(sent, 100))
    near.device.flush()
    near.device.reclaim()
  }
  let next = 0
  for (let n = far.device.rx(); n > 0; n = far.device.rx()) {
    for (let i = 0; i < n; i++) assert.deepEqual(received(far, i), testFrame(next++, 100))
  }
  assert.equal(next, slotCount)
  push(near, 0, testFrame(9, 100))
  near.device.flush()
  assert.equal(far.device.rx(), 1)
  assert.deepEqual(received(far, 0), testFrame(9, 100))
  far.device.wait(0)
  assert.equal(far.device.stats.rxDropped, 1000)
})

test('the device reserves what it says, and gives the pages of its ring back', needsNic, () => {
  const [{ handle }] = pair()
  const bytes = packetRegionBytes(handle)
  const region = new Region(bytes, 0, bytes)
  const device = new PacketDevice(handle, region, new Region(64))
  assert.ok(region.unreservedBytes < 2 * libc().pageSize(), `${region.unreservedBytes} left`)
  device.close()
  region.bytes.fill(0xee)
})

test('a packet costs no garbage, sent, gathered or received', needsNic, async () => {
  // As in tap.test.ts: an address of so large a block is no small integer.
  const [a, b] = pair(64 << 20)
  assert.ok(libc().addressOf(a.device.region.bytes) > 2 ** 32)
  a.device.region.bytes.set(testFrame(1, 4000), a.frames)
  const move = (): void => {
    for (let i = 0; i < 1250; i++) {
      for (let k = 0; k < 8; k++) {
        a.device.push(a.frames + k * 128, 66, OFFLOAD_NONE)
        a.device.gather(a.frames + 1024 + k * 128, 66, k * 64, 500, OFFLOAD_NONE)
      }
      a.device.flush()
      a.device.reclaim()
      b.device.wait(0)
      while (b.device.rx() > 0);
    }
  }
  await assertNoGarbage(move)
  assert.equal(a.device.stats.txFrames, 40 * 20_000)
  assert.ok(b.device.stats.rxFrames > 40 * 19_000, `${b.device.stats.rxFrames} frames`)
})

test('an interface whose MTU got smaller says so to who asks', needsNic, () => {
  assertFollowsMtu(pair()[0].device)
})
