/**
 * TapDevice against the kernel's own stack: its ARP, UDP and TCP at the other end of the cable, in
 * a network namespace of this process's own.
 */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket as TcpSocket } from 'node:net'
import { afterEach, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import {
  closeHandle,
  OFFLOAD_NONE,
  offload,
  openTap,
  Region,
  RX_CSUM_PARTIAL,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
} from '../src/index.ts'
import { ownNamespace, tapProblem, unless } from './privileges.ts'
import { deleteLink, findLink, makePersistentTap } from './taps.ts'
import { ACK, arp, type End, ETH, IP, PSH, readTcp, SYN, TCP, tcp, udp } from './wire.ts'

const needsTap = unless(tapProblem())
if (needsTap.skip === false) ownNamespace()

const BROADCAST = new Uint8Array(6).fill(0xff)
const MTU = 1500
const NAME = 'tt0'

/** A device, our end, the kernel's end, and what we send from. */
interface Bench {
  readonly handle: TapHandle
  readonly device: TapDevice
  readonly content: Region
  readonly frames: number
  readonly us: End
  readonly kernel: End
  /** Read from the device and not yet asked for. */
  readonly received: { frame: Uint8Array; flags: number }[]
}
/** Connections of one test must not be mistaken for those of the last. */
let lastPort = 40000
const closers: (() => void)[] = []
function closeAll(): void {
  for (const close of closers.splice(0).reverse()) close()
}
afterEach(closeAll)

/** `arpKnown`: the kernel has learnt where we are. */
function bench(offloads: boolean, arpKnown = true): Bench {
  const hostAddress = '10.77.0.1/24'
  const handle = openTap({
    name: NAME,
    mtu: MTU,
    hostAddresses: [hostAddress],
    serverAddresses: ['10.77.0.2'],
    offloads,
  })
  closers.push(() => closeHandle(handle))
  const region = new Region(tapRegionBytes(handle) + (1 << 18))
  const content = new Region(1 << 18)
  const device = new TapDevice(handle, region, content)
  const mac = findLink(NAME)?.mac ?? BROADCAST
  const us = { mac: handle.mac, ip: [10, 77, 0, 2], port: ++lastPort }
  const kernel = { mac, ip: [10, 77, 0, 1], port: lastPort }
  const frames = region.reserve(1 << 17) + 16
  const made: Bench = { handle, device, content, us, kernel, frames, received: [] }
  if (arpKnown) {
    send(made, arp(1, us, { ...kernel, mac: BROADCAST }))
    assert.ok(expectFrame(made, 'ARP answer', frame => frame[13] === 6 && frame[21] === 2))
  }
  return made
}

function send(b: Bench, frame: Uint8Array, request = OFFLOAD_NONE): void {
  b.device.region.bytes.set(frame, b.frames)
  b.device.push(b.frames, frame.length, request)
  b.device.flush()
  b.device.reclaim()
}
/** Sends `head` from the region with `body` from the content region behind. */
function gather(b: Bench, head: Uint8Array, body: Uint8Array, request = OFFLOAD_NONE): void {
  b.device.region.bytes.set(head, b.frames)
  b.content.bytes.set(body, 77)
  b.device.gather(b.frames, head.length, 77, body.length, request)
  b.device.flush()
  b.device.reclaim()
}

/** The next frame that `wanted` accepts; others (IPv6 chatter) pass by. */
function expectFrame(
  b: Bench,
  what: string,
  wanted: (frame: Uint8Array, flags: number) => boolean,
): Uint8Array {
  for (let tries = 0; tries < 200; tries++) {
    for (;;) {
      const next = b.received.shift()
      if (next === undefined) break
      if (wanted(next.frame, next.flags)) return next.frame
    }
    const n = b.device.rx()
    for (let i = 0; i < n; i++) {
      const off = b.device.rxOff[i]
      const frame = b.device.region.bytes.slice(off, off + b.device.rxLen[i])
      b.received.push({ frame, flags: b.device.rxFlags[i] })
    }
    if (n === 0) b.device.wait(20_000)
  }
  throw new Error(`no ${what} came`)
}

async function udpSocket(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  closers.push(() => socket.close())
  socket.bind(port, '10.77.0.1')
  await once(socket, 'listening')
  return socket
}

test(
  'the kernel asks by ARP, takes our answer, and its datagram arrives byte for byte',
  needsTap,
  async () => {
    for (const offloads of [true, false]) {
      const b = bench(offloads, false)
      const socket = await udpSocket(0)
      const data = Buffer.from('from the kernel, with 31 bytes.')
      socket.send(data, b.us.port, '10.77.0.2')
      await setTimeout(1) // libuv sends in its loop
      const nobody = { ...b.us, mac: new Uint8Array(6) }
      const asked = expectFrame(b, 'ARP request', frame => frame[12] === 8 && frame[13] === 6)
      const request = arp(1, b.kernel, nobody)
      request.set(BROADCAST)
      assert.deepEqual(asked.subarray(0, 42), request)
      send(b, arp(2, b.us, b.kernel))
      const frame = expectFrame(b, 'datagram', f => f[12] === 8 && f[13] === 0 && f[ETH + 9] === 17)
      const from = { ...b.kernel, port: socket.address().port }
      const expected = udp(from, b.us, data)
      // The kernel chooses identification and flags, and with offloads leaves the UDP sum to us.
      const chosen = [ETH + 4, ETH + 5, ETH + 6, ETH + 10, ETH + 11]
      if (offloads) chosen.push(ETH + IP + 6, ETH + IP + 7)
      for (const at of chosen) expected[at] = frame[at]
      assert.deepEqual(frame, expected)
      closeAll()
    }
  },
)

test(
  'a pushed and a gathered datagram reach a socket; a wrong sum does not',
  needsTap,
  async () => {
    const b = bench(true)
    const socket = await udpSocket(b.kernel.port)
    const got: string[] = []
    socket.on('message', data => got.push(data.toString()))
    const datagram = (text: string): Uint8Array => udp(b.us, b.kernel, Buffer.from(text))
    send(b, datagram('pushed'))
    const wrong = datagram('wrong')
    wrong[wrong.length - 1] ^= 1
    send(b, wrong)
    for (const split of [14, 42, 43]) {
      const frame = datagram(`gathered at ${split}, of 1400 bytes: ${'x'.repeat(1400)}`)
      gather(b, frame.slice(0, split), frame.slice(split))
    }
    for (let i = 0; i < 100 && got.length < 4; i++) await setTimeout(5)
    assert.deepEqual(
      got.map(text => text.slice(0, 14)),
      ['pushed', 'gathered at 14', 'gathered at 42', 'gathered at 43'],
    )
    assert.ok(got.slice(1).every(text => text.endsWith('x'.repeat(1400))))
  },
)

/** Opens a TCP connection to the kernel's listener, by hand. */
async function connect(b: Bench, partial: boolean): Promise<{ socket: TcpSocket; next: number }> {
  const server = createServer()
  closers.push(() => server.close())
  server.listen(b.kernel.port, '10.77.0.1')
  await once(server, 'listening')
  const request = partial ? offload(4, ETH + IP, 0) : OFFLOAD_NONE
  const none = new Uint8Array(0)
  send(b, tcp(b.us, b.kernel, { seq: 1000, ack: 0, flags: SYN }, none, partial), request)
  const answer = readTcp(
    expectFrame(b, 'SYN-ACK', frame => readTcp(frame, b.us) !== undefined),
    b.us,
  )
  assert.equal(answer?.flags, SYN | ACK)
  assert.equal(answer?.ack, 1001)
  const next = ((answer?.seq ?? 0) + 1) >>> 0
  const accepted = once(server, 'connection')
  send(b, tcp(b.us, b.kernel, { seq: 1001, ack: next, flags: ACK }, none, partial), request)
  const [socket] = (await accepted) as [TcpSocket]
  closers.push(() => socket.destroy())
  return { socket, next }
}

for (const offloads of [true, false]) {
  const how = offloads
    ? 'with offloads, in one large frame each way'
    : 'without, segment by segment'
  test(`the kernel's TCP takes our bytes and we take its: ${how}`, needsTap, async () => {
    const b = bench(offloads)
    const { socket, next } = await connect(b, offloads)
    const chunks: Buffer[] = []
    socket.on('data', chunk => chunks.push(chunk))
    // RFC 9293 §3.7.1: a peer that names no MSS takes 536; ours to send is the kernel's 1460.
    const mss = 1460
    const data = Uint8Array.from({ length: 40_001 }, (_, i) => (i * 31 + (i >> 9)) & 0xff)
    const step = offloads ? data.length : mss
    for (let at = 0; at < data.length; at += step) {
      const body = data.subarray(at, at + step)
      const segment = { seq: 1001 + at, ack: next, flags: ACK | PSH }
      const head = tcp(b.us, b.kernel, segment, body, offloads)
      assert.equal(head.length, ETH + IP + TCP)
      gather(b, head, body, offloads ? offload(4, ETH + IP, mss) : OFFLOAD_NONE)
    }
    const received = (): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    for (let i = 0; i < 200 && received() < data.length; i++) await setTimeout(5)
    assert.deepEqual(new Uint8Array(Buffer.concat(chunks)), data)

    const reply = data.subarray(0, 5000)
    socket.write(reply)
    const parts: Uint8Array[] = []
    let largest = 0
    for (let have = 0; have < reply.length; ) {
      expectFrame(b, 'reply', (frame, flags) => {
        const segment = readTcp(frame, b.us)
        if (segment === undefined || segment.data.length === 0) return false
        assert.equal((flags & RX_CSUM_PARTIAL) !== 0, offloads)
        if (!offloads) assert.ok(segment.good, 'the kernel sums')
        assert.equal(segment.seq, (next + have) >>> 0)
        parts.push(segment.data)
        have += segment.data.length
        largest = Math.max(largest, frame.length)
        const ack = { seq: 1001 + data.length, ack: (next + have) >>> 0, flags: ACK }
        send(b, tcp(b.us, b.kernel, ack, new Uint8Array(0), false))
        return true
      })
    }
    assert.deepEqual(new Uint8Array(Buffer.concat(parts)), reply)
    assert.equal(largest > MTU + ETH, offloads, `largest frame: ${largest} bytes`)
    assert.equal(b.device.stats.txDropped, 0)
    assert.equal(b.device.down, '')
  })
}

test('the largest GSO frame that caps promise is taken whole', needsTap, async () => {
  const b = bench(true)
  const { socket, next } = await connect(b, true)
  let received = 0
  socket.on('data', chunk => {
    received += chunk.length
  })
  const body = new Uint8Array(b.device.caps.gsoMaxBytes - ETH - IP - TCP).fill(0x61)
  const head = tcp(b.us, b.kernel, { seq: 1001, ack: next, flags: ACK }, body, true)
  gather(b, head, body, offload(4, ETH + IP, 1460))
  for (let i = 0; i < 200 && received === 0; i++) await setTimeout(5)
  // The first window (RFC 9293 §3.8.6) may be smaller than the frame; what fits in it arrives.
  assert.ok(received >= 20 * 1460, `${received} bytes`)
  assert.equal(b.device.stats.txDropped, 0)
})

test('an interface that is deleted under us sets `down`, and nothing throws', needsTap, () => {
  for (const first of ['rx', 'flush', 'wait'] as const) {
    makePersistentTap(NAME, 0)
    const b = bench(true)
    deleteLink(NAME)
    if (first === 'wait') b.device.wait(-1)
    send(b, new Uint8Array(60))
    assert.equal(b.device.rx(), 0)
    assert.match(b.device.down, /^tap:tt0 was removed \((EBADFD|ENODEV)\)$/)
    assert.equal(b.device.stats.txDropped, 1)
    b.device.wait(1000) // returns by its time and does not spin on the dead descriptor
    assert.equal(b.device.rx(), 0)
    closeAll()
  }
})

test('an interface that is set down drops frames and comes back', needsTap, async () => {
  const { setLink } = await import('../src/sys/links.ts')
  const b = bench(true)
  const { index } = findLink(NAME)!
  setLink(index, { up: false })
  send(b, new Uint8Array(60))
  assert.deepEqual([b.device.stats.txDropped, b.device.down], [1, ''])
  setLink(index, { up: true })
  send(b, arp(1, b.us, { ...b.kernel, mac: BROADCAST }))
  expectFrame(b, 'ARP answer', frame => frame[13] === 6 && frame[21] === 2)
})
