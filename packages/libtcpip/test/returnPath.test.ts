/**
 * Beside a kernel that has our addresses too: no questions, and answers to where frames came from.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { arpPacket } from '@sandstorm/libeth'
import {
  connect,
  findFirstHop,
  ipv4Address,
  ipv6Address,
  STATION_WORDS,
  setFirstHop,
  tcb,
} from '../src/index.ts'
import {
  advance,
  established,
  expectEmpty,
  expectSent,
  Host,
  OUR_PORT,
  PEER_ADDR6,
  PEER_PORT,
  type Script,
  send,
  sendArp,
  write,
} from './kit/host.ts'
import { ACK, RST, SYN } from './kit/segment.ts'

/** From here on the peer's frames come through this router, and ours must go there. */
function moveTo(t: Host, hi: number, lo: number): void {
  t.link.srcHi = hi
  t.link.srcLo = lo
}

/** `script`'s segment comes through another router; what it causes must go where we were. */
function sendThrough(t: Host, hi: number, lo: number, script: Script): void {
  const { srcHi, srcLo } = t.link
  moveTo(t, hi, lo)
  send(t, { ...script, poll: false })
  moveTo(t, srcHi, srcLo)
  t.poll()
}

for (const ipVersion of [4, 6] as const) {
  const makeHost = (): Host => {
    const t = new Host({ ipVersion, sharesAddresses: true, resolved: false })
    t.stack.start()
    t.poll()
    return t
  }
  // On none of our subnets, and we have no gateway.
  const src = ipVersion === 4 ? 0x08080808 : '2001:db8::8'

  describe(`on an address of the kernel's, IPv${ipVersion}`, () => {
    test('the start says nothing to the link, and neighbours who ask are not answered', () => {
      const t = makeHost()
      advance(t, 60_000)
      sendArp(t, arpPacket.REQUEST)
      assert.deepEqual(
        t.sent.map(({ line }) => line),
        [],
      )
    })

    test('a connection is served without a question asked, for as long as it lasts', () => {
      const t = makeHost()
      established(t)
      write(t, 100)
      expectSent(t, ['P. 1:101 ack 1'])
      advance(t, 100)
      send(t, { flags: ACK, seq: 1, ack: 101 })
      advance(t, 600_000)
      send(t, { flags: ACK, seq: 1, ack: 101, data: 5 })
      expectSent(t, ['. 101 ack 6'])
      send(t, { flags: RST, seq: 6 })
      expectEmpty(t)
    })

    test('whoever is on none of our subnets is answered, though there is no gateway', () => {
      const t = makeHost()
      send(t, { flags: SYN, src })
      expectSent(t, ['S. 0 ack 1'])
      send(t, { flags: SYN, src, dstPort: 81, port: 40001 })
      const [answer] = t.take()
      assert.equal(answer.segment?.flags, RST | ACK)
    })

    test('a connection is opened by the first hop that another stack has found, and not before', () => {
      const remote = ipVersion === 4 ? ipv4Address('10.0.0.1') : ipv6Address(PEER_ADDR6)
      const station = new Int32Array(STATION_WORDS)
      const finder = new Host({ ipVersion, resolved: false })
      assert.ok(!findFirstHop(finder.tcp, remote, station))
      finder.poll()
      assert.match(finder.take()[0].line, /who-has|neighbor solicitation/, 'it has asked')
      moveTo(finder, 0xfe77, -2)
      sendArp(finder, arpPacket.REPLY)
      assert.ok(findFirstHop(finder.tcp, remote, station))

      const t = makeHost()
      moveTo(t, 0xfe77, -2) // where the kit expects what is sent
      assert.equal(connect(t.tcp, 0, remote, PEER_PORT, OUR_PORT), tcb.NO_CONN)
      setFirstHop(t.tcp, station)
      assert.ok(connect(t.tcp, 0, remote, PEER_PORT, OUR_PORT) >= 0)
      t.poll()
      expectSent(t, ['S 0'])
    })

    test('answers follow the peer to another router once something new was acknowledged through it', () => {
      const t = makeHost()
      established(t)
      sendThrough(t, 0x0277, -2, { flags: ACK, seq: -90_000, ack: 1, data: 1 })
      expectSent(t, ['. 1 ack 1'])
      write(t, 100)
      expectSent(t, ['P. 1:101 ack 1'])
      moveTo(t, 0xfe77, -2)
      send(t, { flags: ACK, seq: 1, ack: 101 })
      write(t, 50)
      expectSent(t, ['P. 101:151 ack 1'])
    })
  })
}
