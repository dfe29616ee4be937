/** One VLAN of a link (src/wrap/vlan.ts): the bytes of tags, what is refused, and ready frames. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  type Device,
  type MemoryPort,
  memoryLink,
  OFFLOAD_NONE,
  offload,
  Region,
  RX_CSUM_GOOD,
  VLAN_ID_MAX,
  VLAN_ID_MIN,
  VlanDevice,
} from '../src/index.ts'
import { GatherPort } from './gatherPort.ts'
import { withTag } from './vlanTag.ts'

const VLAN_ID = 10
const ADDRESSES = [0x02, 1, 2, 3, 4, 5, 0x02, 6, 7, 8, 9, 10]
const FRAME: Uint8Array = Uint8Array.of(...ADDRESSES, 0x08, 0x00, 0x45, 0xaa, 0xbb)

interface Scene {
  readonly region: Region
  /** In the VLAN, over a port that copies what it sends. */
  readonly device: VlanDevice
  readonly port: GatherPort
  readonly far: MemoryPort
  readonly content: Region
  /** Where frames to be sent may lie, with room before. */
  readonly off: number
}

function scene(): Scene {
  const region = new Region(1 << 22)
  const content = new Region(65536)
  const [near, far] = memoryLink({ region })
  const port = new GatherPort(near, content)
  const off = region.reserve(1 << 16) + 1024
  return { region, device: new VlanDevice(port, VLAN_ID), port, far, content, off }
}

function put({ region, off }: Scene, frame: Uint8Array, at = off): void {
  region.bytes.set(frame, at)
}

/** What came to a device, as bytes. */
function take(device: Device): Uint8Array[] {
  const count = device.rx()
  return Array.from({ length: count }, (_, i) =>
    device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i]),
  )
}

/** Sends frames, as they are, from the far end. */
function sendFar(s: Scene, ...frames: Uint8Array[]): void {
  for (const [i, frame] of frames.entries()) {
    put(s, frame, s.off + 4096 + i * 2048)
    s.far.push(s.off + 4096 + i * 2048, frame.length, OFFLOAD_NONE)
  }
  s.far.flush()
}

describe('what is sent', () => {
  test('has the tag behind its addresses, and nothing else is other', () => {
    const s = scene()
    put(s, FRAME)
    s.device.push(s.off, FRAME.length, OFFLOAD_NONE)
    s.device.flush()
    const wire = [...ADDRESSES, 0x81, 0x00, 0x00, 0x0a, 0x08, 0x00, 0x45, 0xaa, 0xbb]
    assert.deepEqual(take(s.far), [Uint8Array.from(wire)])
  })
  test('is what it was when it comes back, with four bytes before it that were the device’s', () => {
    const s = scene()
    s.region.bytes.fill(0xa5, s.off - 64, s.off + 64)
    put(s, FRAME)
    s.device.push(s.off, FRAME.length, OFFLOAD_NONE)
    s.device.flush()
    s.far.rx()
    s.far.rx()
    assert.equal(s.device.reclaim(), 1)
    assert.equal(s.device.doneOff[0], s.off)
    const untouched = new Uint8Array(64).fill(0xa5)
    const end = s.off + FRAME.length
    assert.deepEqual(s.region.bytes.slice(s.off, end), FRAME)
    assert.deepEqual(s.region.bytes.slice(end, s.off + 64), untouched.subarray(FRAME.length))
    assert.deepEqual(s.region.bytes.slice(s.off - 64, s.off - 4), untouched.subarray(4))
  })
  test('is gathered with its tag, from the same body', () => {
    const s = scene()
    put(s, FRAME)
    s.content.bytes.set([1, 2, 3], 77)
    s.device.gather(s.off, FRAME.length, 77, 3, OFFLOAD_NONE)
    s.device.flush()
    assert.deepEqual(take(s.far), [withTag(Uint8Array.of(...FRAME, 1, 2, 3), VLAN_ID)])
  })
  test('has its segment four bytes later for the checksum, and is four bytes shorter at most', () => {
    const s = scene()
    put(s, FRAME)
    for (const request of [offload(4, 34, 1448), offload(6, 54, 0), OFFLOAD_NONE]) {
      s.device.push(s.off, FRAME.length, request)
    }
    assert.deepEqual(s.port.requests, [offload(4, 38, 1448), offload(6, 58, 0), OFFLOAD_NONE])
    assert.equal(s.device.caps.gsoMaxBytes, s.port.caps.gsoMaxBytes - 4)
    const [plain] = memoryLink({ region: new Region(1 << 16) })
    assert.equal(new VlanDevice(plain, VLAN_ID).caps.gsoMaxBytes, 0)
  })
})

describe('what comes', () => {
  test('is taken with our tag, whatever its priority, and handed on without', () => {
    const s = scene()
    s.port.flags = RX_CSUM_GOOD
    for (const priority of [0, 0x1000, 0x6000, 0xf000]) {
      sendFar(s, withTag(FRAME, priority | VLAN_ID))
      assert.deepEqual(take(s.device), [FRAME])
      assert.equal(s.device.rxFlags[0], RX_CSUM_GOOD)
    }
    assert.equal(s.device.stats.rxOtherVlan, 0)
  })
  test('is refused and counted without a tag, with another, or with two; the rest keeps its order', () => {
    const s = scene()
    const ours = (n: number): Uint8Array => Uint8Array.of(...FRAME, n)
    const refused = [
      FRAME,
      FRAME.subarray(0, 14),
      withTag(FRAME, 0),
      withTag(FRAME, 11),
      withTag(FRAME, 0x80a),
      withTag(FRAME, VLAN_ID, 0x88a8),
      withTag(FRAME, VLAN_ID, 0x9100),
      withTag(withTag(FRAME, VLAN_ID), VLAN_ID),
      withTag(withTag(FRAME, 0), VLAN_ID),
      withTag(withTag(FRAME, 5, 0x88a8), VLAN_ID),
      withTag(FRAME, VLAN_ID).subarray(0, 17),
    ]
    sendFar(s, ...refused.flatMap((frame, i) => [withTag(ours(i), VLAN_ID), frame]))
    const taken = take(s.device)
    assert.deepEqual(
      taken,
      refused.map((_, i) => ours(i)),
    )
    const { rxFrames, rxOtherVlan, rxDropped } = s.device.stats
    assert.deepEqual([rxFrames, rxOtherVlan, rxDropped], [2 * refused.length, refused.length, 0])
  })
  test('leaves nothing of a batch that is of others', () => {
    const s = scene()
    sendFar(s, FRAME, withTag(FRAME, 11))
    assert.deepEqual(take(s.device), [])
    sendFar(s, withTag(FRAME, VLAN_ID))
    assert.deepEqual(take(s.device), [FRAME])
  })
})

test('any frames go from one end of a VLAN to the other, and a ready frame can be sent again', () => {
  const region = new Region(1 << 22)
  const content = new Region(4096)
  const [a, b] = memoryLink({ region })
  const frames = fc.array(fc.uint8Array({ minLength: 14, maxLength: 1514 }), {
    minLength: 1,
    maxLength: 20,
  })
  const isTag = (frame: Uint8Array): boolean =>
    [0x8100, 0x88a8].includes((frame[12] << 8) | frame[13])
  const ids = fc.integer({ min: VLAN_ID_MIN, max: VLAN_ID_MAX })
  const off = region.reserve(20 * 2048)
  const [near, far] = [new GatherPort(a, content), new GatherPort(b, content)]
  fc.assert(
    fc.property(frames, ids, (list, id) => {
      const ready = list.filter(frame => !isTag(frame))
      const [from, to] = [new VlanDevice(near, id), new VlanDevice(far, id)]
      const at = ready.map((_, i) => off + i * 2048 + 64)
      for (const [i, frame] of ready.entries()) region.bytes.set(frame, at[i])
      for (let round = 0; round < 2; round++) {
        for (const [i, { length }] of ready.entries()) from.push(at[i], length, OFFLOAD_NONE)
        from.flush()
        assert.deepEqual(take(to), ready)
        to.rx()
        assert.equal(from.reclaim(), ready.length)
        assert.deepEqual([...from.doneOff.subarray(0, ready.length)], at)
        const after = ready.map(({ length }, i) => region.bytes.slice(at[i], at[i] + length))
        assert.deepEqual(after, ready)
      }
    }),
  )
})

test('a VLAN that is none is refused', () => {
  const [port] = memoryLink({ region: new Region(1 << 16) })
  for (const id of [-1, 0, 4095, 4096]) {
    assert.throws(() => new VlanDevice(port, id), /a VLAN ID is 1 to 4094/)
  }
})
