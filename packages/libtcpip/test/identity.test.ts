/** Several addresses of ours, peers beyond a gateway, and who answers whom. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket, ethernet } from '@sandstorm/libeth'
import { checksum, drops, icmp, ipv4, ipv4Address, tcb } from '../src/index.ts'
import {
  advance,
  expectEmpty,
  Host,
  OUR_ADDR,
  OUR_PORT,
  PEER_ADDR,
  PEER_PORT,
  send,
} from './kit/host.ts'
import { ACK, RST, SYN, writeIpv4 } from './kit/segment.ts'

const OURS = ['10.0.0.2', '10.0.0.3', '192.168.7.2']
const FAR_AWAY: number = ipv4.parse('203.0.113.7')
const PORTS: number = (PEER_PORT << 16) | OUR_PORT

const several = (): Host => new Host({ addresses: OURS.map(text => ipv4Address(text, 24)) })

test('whatever address a SYN is sent to, that one answers, to the end (MUST-42, MUST-45)', () => {
  const t = several()
  for (const [local, text] of OURS.entries()) {
    const dst = ipv4.parse(text)
    const port = PEER_PORT + local
    send(t, { flags: SYN, dst, port })
    assert.deepEqual([t.last.src, t.last.flags], [dst, SYN | ACK])
    send(t, { flags: ACK, seq: 1, ack: 1, dst, port })
    const c = t.tcp.table.find4(PEER_ADDR, local, (port << 16) | OUR_PORT)
    t.tcp.commit(c, 100)
    t.tcp.addWork(c, tcb.NEED_OUTPUT)
    t.poll()
    assert.deepEqual([t.last.src, t.last.data.length], [dst, 100])
    send(t, { flags: RST, seq: 1, dst, port })
  }
  assert.equal(t.take().length, 6)
  expectEmpty(t)
})

test('the same peer and ports at two of our addresses are two connections', () => {
  const t = several()
  for (const text of OURS) {
    const dst = ipv4.parse(text)
    send(t, { flags: SYN, dst })
    send(t, { flags: ACK, seq: 1, ack: 1, dst })
  }
  assert.equal(t.tcp.table.count, 3)
  assert.equal(new Set(OURS.map((_, local) => t.tcp.table.find4(PEER_ADDR, local, PORTS))).size, 3)
  send(t, { flags: RST, seq: 1, dst: ipv4.parse(OURS[1]) })
  assert.equal(t.tcp.table.count, 2)
  assert.equal(t.tcp.table.find4(PEER_ADDR, 1, PORTS), tcb.NO_CONN)
})

test('an RST comes from the address that was spoken to', () => {
  const t = several()
  for (const text of OURS) {
    send(t, { flags: SYN, dst: ipv4.parse(text), dstPort: 81 })
    assert.deepEqual([t.last.src, t.last.flags], [ipv4.parse(text), RST | ACK])
  }
})

test('TIME-WAIT keeps our addresses apart', () => {
  const t = several()
  const dst = ipv4.parse(OURS[1])
  send(t, { flags: SYN, dst })
  send(t, { flags: ACK, seq: 1, ack: 1, dst })
  const c = t.tcp.table.find4(PEER_ADDR, 1, PORTS)
  t.tcp.close(c)
  t.tcp.addWork(c, tcb.NEED_OUTPUT)
  t.poll()
  send(t, { flags: ACK | 1, seq: 1, ack: 2, dst })
  assert.equal(t.tcp.timeWait.count, 1)
  t.take()
  send(t, { flags: ACK, seq: 9, ack: 2, dst })
  assert.deepEqual([t.last.src, t.last.flags], [dst, ACK], 'the last ACK again')
  send(t, { flags: ACK, seq: 9, ack: 2, dst: OUR_ADDR })
  assert.deepEqual([t.last.src, t.last.flags], [OUR_ADDR, RST], 'no such connection')
})

test('an echo request is answered from the address that it was sent to', () => {
  const t = several()
  for (const text of OURS) {
    t.inject((view, off) => {
      const at = off + ethernet.HEADER_LEN + ipv4.HEADER_LEN
      writeIpv4(view, off, t.link, PEER_ADDR, ipv4.parse(text), ipv4.PROTO_ICMP, 8)
      icmp.setType(view, at, icmp.ECHO_REQUEST)
      view.setUint8(at + 1, 0)
      icmp.setChecksum(view, at, 0)
      icmp.setChecksum(view, at, checksum.finish(checksum.sum(view, at, 8)))
      return at + 8 - off
    })
    assert.match(t.take()[0].line, new RegExp(`${text} > 10.0.0.1: ICMP echo reply`))
  }
})

test('a SYN from an address of ours is refused, whichever it is', () => {
  const t = several()
  for (const src of OURS) {
    for (const dst of OURS) {
      send(t, { flags: SYN, src: ipv4.parse(src), dst: ipv4.parse(dst) })
    }
  }
  assert.equal(t.tcp.drops[drops.TCP_LAND], 9)
  assert.equal(t.take().length, 0)
  expectEmpty(t)
})

test('the broadcasts of all our subnets are no sources and no destinations', () => {
  const t = several()
  for (const text of ['10.0.0.255', '192.168.7.255']) {
    send(t, { flags: SYN, src: ipv4.parse(text) })
    send(t, { flags: SYN, dst: ipv4.parse(text) })
  }
  assert.equal(t.tcp.drops[drops.IP_BAD_SOURCE], 2)
  assert.equal(t.tcp.drops[drops.IP_BROADCAST], 2)
})

test('without a gateway a SYN from beyond our subnets is dropped: no answer could reach it', () => {
  const t = several()
  send(t, { flags: SYN, src: FAR_AWAY })
  assert.equal(t.tcp.drops[drops.IP_NO_ROUTE], 1)
  assert.equal(t.take().length, 0)
  expectEmpty(t)
})

test('a peer beyond our subnets is answered through the gateway, which alone is asked for', () => {
  const t = new Host({ gateway: ipv4Address('10.0.0.1'), resolved: false })
  send(t, { flags: SYN, src: FAR_AWAY })
  const [question] = t.take()
  const view = new DataView(question.bytes.buffer)
  assert.equal(ethernet.type(view, 0), ethernet.TYPE_ARP)
  assert.equal(arpPacket.targetIp(view, ethernet.HEADER_LEN), PEER_ADDR)
  t.answersArp = true
  advance(t, 1000)
  // The kit checks that the frame goes to the peer's hardware address, which is the gateway's here.
  assert.deepEqual([t.last.dst, t.last.flags], [FAR_AWAY, SYN | ACK])
  send(t, { flags: ACK, seq: 1, ack: 1, src: FAR_AWAY })
  const c = t.tcp.table.find4(FAR_AWAY, 0, PORTS)
  t.tcp.commit(c, 10)
  t.tcp.addWork(c, tcb.NEED_OUTPUT)
  t.poll()
  assert.deepEqual([t.last.dst, t.last.data.length], [FAR_AWAY, 10])
  send(t, { flags: ACK, seq: 1, ack: 11, src: FAR_AWAY })
  send(t, { flags: RST, seq: 1, src: FAR_AWAY })
  send(t, { flags: ACK, seq: 1, ack: 11, src: FAR_AWAY })
  assert.deepEqual([t.last.dst, t.last.flags], [FAR_AWAY, RST], 'an RST goes the same way')
  expectEmpty(t)
})

test('data that is acknowledged through the gateway keeps its neighbour entry alive', () => {
  const t = new Host({ gateway: ipv4Address('10.0.0.1') })
  send(t, { flags: SYN, src: FAR_AWAY })
  send(t, { flags: ACK, seq: 1, ack: 1, src: FAR_AWAY })
  const c = t.tcp.table.find4(FAR_AWAY, 0, PORTS)
  t.answersArp = false
  // Three minutes, in which the entry would have been asked for again after one.
  for (let sent = 1; sent <= 180; sent++) {
    t.tcp.commit(c, 1)
    t.tcp.addWork(c, tcb.NEED_OUTPUT)
    t.poll()
    advance(t, 1000)
    send(t, { flags: ACK, seq: 1, ack: 1 + sent, src: FAR_AWAY })
  }
  assert.equal(t.take().filter(frame => frame.segment === undefined).length, 0)
})
