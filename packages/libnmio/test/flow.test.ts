/**
 * Which worker a frame is for: what belongs together stays together, flows are spread evenly, and
 * the kernel's program, run by the kernel, says the same.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { spreadProgram } from '../src/bpf/spread.ts'
import { FIRST_WORKER, type Spread, workerOf, workerOfFrame } from '../src/index.ts'
import { loadProgram, PROG_TYPE_SOCKET_FILTER } from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { listing } from './disassemble.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { runProgram } from './runProgram.ts'
import { withTag } from './vlanTag.ts'

const ETH = 14
const TCP = 6
const UDP = 17
const ICMP = 1
const ICMPV6 = 58

type Address = readonly number[]
interface Flow {
  readonly remote: Address
  readonly local: Address
  readonly remotePort: number
  readonly localPort: number
}

const concat = (...parts: (readonly number[] | Uint8Array)[]): Uint8Array =>
  Uint8Array.from(parts.flatMap(part => [...part]))
const u16 = (value: number): number[] => [value >> 8, value & 0xff]

/**
 * The packet, without Ethernet; `extra`: words of IPv4 options, or IPv6 extension headers of 8
 * bytes.
 */
function packet(protocol: number, from: Address, to: Address, payload: Uint8Array, extra = 0) {
  if (from.length === 4) {
    const len = u16(20 + 4 * extra + payload.length)
    const head = [0x45 + extra, 0, ...len, 0, 0, 0x40, 0, 64, protocol, 0, 0]
    return concat(head, from, to, new Uint8Array(4 * extra).fill(1), payload)
  }
  const extensions = Array.from({ length: extra }, (_, i) =>
    concat([i === extra - 1 ? protocol : 60, 0], [1, 4, 0, 0, 0, 0]),
  )
  const len = u16(8 * extra + payload.length)
  const head = [0x60, 0, 0, 0, ...len, extra === 0 ? protocol : 60, 64]
  return concat(head, from, to, ...extensions, payload)
}

function frame(ip: Uint8Array): Uint8Array {
  const type = ip[0] >> 4 === 4 ? [0x08, 0x00] : [0x86, 0xdd]
  return concat([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], type, ip)
}

const ports = (source: number, destination: number): Uint8Array =>
  concat(u16(source), u16(destination), new Array(16).fill(0))

/** A segment from the client to us. */
const inbound = (flow: Flow, extra = 0, protocol = TCP): Uint8Array =>
  frame(packet(protocol, flow.remote, flow.local, ports(flow.remotePort, flow.localPort), extra))

/** What somebody on the way says of a segment of ours. */
function errorAbout(flow: Flow, type: number, extra = 0, protocol = TCP): Uint8Array {
  const segment = ports(flow.localPort, flow.remotePort)
  // IPv6 errors are read as far as the plain header alone.
  const options = flow.remote.length === 4 ? extra : 0
  const about = packet(protocol, flow.local, flow.remote, segment, options)
  const router = flow.remote.map(byte => byte ^ 0x55)
  const icmp = concat([type, 0, 0, 0, 0, 0, 0, 0], about)
  return frame(packet(flow.remote.length === 4 ? ICMP : ICMPV6, router, flow.local, icmp))
}

function ownerOf(spread: Spread, bytes: Uint8Array): number {
  // Not at the start of the buffer, so that an offset that is left out is noticed.
  const room = new Uint8Array(bytes.length + 100).fill(0xa5)
  room.set(bytes, 50)
  return workerOfFrame(spread, new DataView(room.buffer), 50, bytes.length)
}

const byte = fc.integer({ min: 0, max: 255 })
const port = fc.integer({ min: 0, max: 65535 })
const flows: fc.Arbitrary<Flow> = fc.constantFrom(4, 16).chain(len =>
  fc.record({
    remote: fc.array(byte, { minLength: len, maxLength: len }),
    local: fc.array(byte, { minLength: len, maxLength: len }),
    remotePort: port,
    localPort: port,
  }),
)
const spreads: fc.Arbitrary<Spread> = fc.record({
  count: fc.integer({ min: 1, max: 32 }),
  key: fc.integer({ min: 0, max: 0x7fffffff }),
})
const extras = fc.integer({ min: 0, max: 6 })

test('all segments of a flow, and errors about it, are one worker’s', () => {
  fc.assert(
    fc.property(spreads, flows, extras, (spread, flow, extra) => {
      const { count } = spread
      const owner = ownerOf(spread, inbound(flow))
      assert.ok(owner >= 0 && owner < count)
      assert.equal(ownerOf(spread, inbound(flow, extra)), owner, 'behind options')
      assert.equal(ownerOf(spread, withTag(inbound(flow, extra), 10)), owner, 'in a VLAN')
      const types = flow.remote.length === 4 ? [3, 11, 12] : [1, 2, 3, 4, 127]
      for (const type of types) {
        assert.equal(ownerOf(spread, errorAbout(flow, type, extra)), owner, `error ${type}`)
      }
    }),
  )
})

test('the function for a program that has address and ports is the same', () => {
  fc.assert(
    fc.property(spreads, flows, (spread, flow) => {
      const bytes = Buffer.from(flow.remote)
      let address = 0
      for (let at = 0; at < bytes.length; at += 4) address ^= bytes.readInt32BE(at)
      const both = (flow.remotePort << 16) | flow.localPort
      assert.equal(workerOf(spread, address, both), ownerOf(spread, inbound(flow)))
    }),
  )
})

test('what is of no connection is the first worker’s', () => {
  const spread = { count: 32, key: 12345 }
  fc.assert(
    fc.property(flows, flow => {
      const isIpv4 = flow.remote.length === 4
      for (const bytes of [
        inbound(flow, 0, UDP),
        errorAbout(flow, isIpv4 ? 8 : 128),
        errorAbout(flow, isIpv4 ? 3 : 1, 0, UDP),
        concat([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06], new Array(28).fill(7)),
      ]) {
        assert.equal(ownerOf(spread, bytes), FIRST_WORKER)
      }
    }),
  )
})

test('nothing is read behind the end of a frame, and any bytes give a worker', () => {
  fc.assert(
    fc.property(
      spreads,
      flows,
      extras,
      fc.double({ min: 0, max: 1 }),
      (spread, flow, extra, cut) => {
        const frames = [inbound(flow, extra), errorAbout(flow, 3, extra)]
        for (const whole of [...frames, ...frames.map(bytes => withTag(bytes, 10))]) {
          const len = Math.floor(whole.length * (Number.isNaN(cut) ? 0 : cut))
          const short = whole.slice(0, len)
          const alone = workerOfFrame(spread, new DataView(short.buffer), 0, len)
          assert.equal(ownerOf(spread, short), alone)
          assert.ok(alone >= 0 && alone < spread.count)
        }
      },
    ),
  )
})

/** `count` flows of one kind, for each of which `make` gives address and ports. */
function loads(spread: Spread, total: number, make: (i: number) => [number, number]): number[] {
  const load = new Array<number>(spread.count).fill(0)
  for (let i = 0; i < total; i++) load[workerOf(spread, ...make(i))]++
  return load
}

describe('flows are spread evenly, whatever the key', () => {
  const total = 20_000
  for (const [what, make] of [
    ['one client with one port after the other', i => [0x0a4d0001, ((32768 + i) << 16) | 80]],
    ['every second port, as Linux takes them', i => [0x0a4d0001, ((20000 + 2 * i) << 16) | 80]],
    ['clients side by side', i => [0x0a000000 + i, (50000 << 16) | 80]],
  ] as [string, (i: number) => [number, number]][])
    test(what, () => {
      for (const key of [0, 1, 0x12345678, 0x7fffffff]) {
        for (const count of [2, 3, 8, 32]) {
          const least = Math.min(...loads({ count, key }, total, make))
          assert.ok(least > (total / count) * 0.8, `key ${key}, ${count} workers: ${least}`)
        }
      }
    })
  test('and another key makes another spread', () => {
    const [a, b] = [
      { count: 2, key: 1 },
      { count: 2, key: 0x2b5ec4d3 },
    ]
    const isMoved = (i: number): boolean => workerOf(a, i << 8, 80) !== workerOf(b, i << 8, 80)
    const moved = Array.from({ length: 1000 }, (_, i) => isMoved(i)).filter(Boolean).length
    assert.ok(moved > 300 && moved < 700, `${moved} of 1000`)
  })
})

const needsBpf = unless(nicProblem())
if (needsBpf.skip === false) before(ownNamespace)

test('the kernel says the same of TCP, and first of all else', needsBpf, () => {
  fc.assert(
    fc.property(spreads, fc.array(flows, { minLength: 1, maxLength: 8 }), (spread, list) => {
      const program = loadProgram(PROG_TYPE_SOCKET_FILTER, 0, spreadProgram(spread))
      try {
        for (const flow of list) {
          const isIpv4 = flow.remote.length === 4
          const plain = inbound(flow)
          assert.equal(runProgram(program, plain), ownerOf(spread, plain))
          const behind = inbound(flow, 3)
          const kernels = runProgram(program, behind)
          assert.equal(kernels, isIpv4 ? ownerOf(spread, behind) : FIRST_WORKER)
          for (const other of [inbound(flow, 0, UDP), errorAbout(flow, isIpv4 ? 3 : 1)]) {
            assert.equal(runProgram(program, other), FIRST_WORKER)
          }
          const cut = plain.slice(0, ETH + (isIpv4 ? 20 : 40) + 3)
          assert.equal(runProgram(program, cut), FIRST_WORKER)
        }
      } finally {
        libc().close(program)
      }
    }),
    { numRuns: 40 },
  )
})

test('the end of the program is the hash, in 32-bit steps', () => {
  const lines = listing(spreadProgram({ count: 3, key: 99 })).split('\n')
  const end = lines.slice(-12, -1).map(line => line.slice(line.indexOf(' ') + 1))
  assert.deepEqual(end, [
    'r0 = *(u32*)(r10 - 8)',
    'w0 = be32 w0',
    'w0 ^= w8',
    'w0 ^= 99',
    'w0 *= -1640531535',
    'w0 >>= 16',
    'w0 *= 3',
    'w0 >>= 16',
    'exit',
    'r0 = 0',
    'exit',
  ])
})
