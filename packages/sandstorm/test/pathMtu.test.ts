/** A path that turns out narrower in the middle of an answer: other segments, the same bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAnswers } from './kit/response.ts'
import { request, SERVER_ADDR, World, type WorldOptions } from './kit/world.ts'
import { naiveSum } from './reference/frame.ts'

const ETHERNET = 14
const IP_HEADER = 20

const be = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => (value >>> (8 * (bytes - 1 - i))) & 0xff)

/** A router's "fragmentation needed" about a frame of the server (RFC 1191 §4). */
function tooBig(world: World, frame: Uint8Array, mtu: number): Uint8Array {
  const quote = frame.subarray(ETHERNET, ETHERNET + IP_HEADER + 8)
  const icmp = Uint8Array.from([3, 4, 0, 0, 0, 0, ...be(mtu, 2), ...quote])
  icmp.set(be(~naiveSum(icmp) & 0xffff, 2), 2)
  const ip = Uint8Array.from([
    ...[0x45, 0, ...be(IP_HEADER + icmp.length, 2), 0, 0, 0, 0, 64, 1, 0, 0],
    ...be(0x0a0000fe, 4),
    ...be(SERVER_ADDR, 4),
  ])
  ip.set(be(~naiveSum(ip) & 0xffff, 2), 10)
  const { host } = world
  return Uint8Array.from([...host.serverMac, ...host.device.mac, 0x08, 0x00, ...ip, ...icmp])
}

const packetLen = (frame: Uint8Array): number => frame.length - ETHERNET

const VARIANTS: [string, WorldOptions][] = [
  ['template', { transmit: 'template' }],
  ['gather', { transmit: 'gather' }],
  ['gather with offloads', { transmit: 'gather', offloads: true }],
  ['copy', { transmit: 'copy' }],
]

for (const [name, options] of VARIANTS) {
  for (const mtu of [1400, 1280, 600]) {
    test(`from ${mtu} bytes on an answer goes on in smaller packets: ${name}`, () => {
      const world = new World({ '/a': 100_000 }, options)
      const peer = world.connect({ autoAck: false }).send(request('/a'))
      world.host.recording = true
      world.settle()
      const large = world.host.recorded.find(frame => packetLen(frame) > 1400)
      assert.ok(large)
      world.host.recorded.length = 0
      const { ledger } = world.server.transmitter
      const copied = ledger.copyFrames
      world.host.sendRaw(tooBig(world, large, mtu))
      world.settle()
      assert.ok(world.host.recorded.length > 5, 'what was too big leaves again at once')
      peer.options.autoAck = true
      peer.ack()
      assert.ok(world.runUntil(() => peer.stream.length > 100_000, 5000))
      world.settle()
      for (const frame of world.host.recorded) assert.ok(packetLen(frame) <= mtu)
      assert.deepEqual(parseAnswers(peer.stream, ['GET'])[0].body, world.site.bodies.get('/a'))
      // After the pieces up to the next boundary, ready frames again.
      if (name === 'template') assert.ok(ledger.copyFrames - copied <= 3, `${ledger.copyFrames}`)
      assert.equal(world.server.stack.tcp.stats.timeouts, 0)
    })
  }
}
