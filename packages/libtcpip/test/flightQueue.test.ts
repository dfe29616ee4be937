/** More connections than flights: those without one wait in order, and cost the others nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { FLIGHT_QUEUE_MAX } from '../src/tcp/recovery/flightQueue.ts'
import { advance, established, expectEmpty, Host, PEER_PORT, send } from './kit/host.ts'
import { ACK, RST } from './kit/segment.ts'

/** A host that answers whatever it is asked with 100 bytes; one flight for all connections. */
function host(maxConnections = 64): Host {
  const t = new Host({ tcp: { maxConnections, maxFlights: 1 } })
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 100)
    return len
  }
  return t
}

/** Connections from as many ports on, each of which asks for something. */
function askFrom(t: Host, ports: number): void {
  for (let i = 0; i < ports; i++) established(t, { port: PEER_PORT + i })
  for (let i = 0; i < ports; i++) {
    send(t, { flags: ACK, seq: 1, ack: 1, data: 5, port: PEER_PORT + i })
  }
}

/** Ports that were sent data since the last look. */
const servedPorts = (t: Host): number[] =>
  t
    .take()
    .filter(frame => frame.segment !== undefined && frame.segment.data.length > 0)
    .map(frame => frame.segment!.dstPort)

test('who waits for a flight is on no list that a poll goes through', () => {
  const t = host()
  askFrom(t, 4)
  assert.deepEqual(servedPorts(t), [PEER_PORT])
  t.poll()
  assert.equal(t.tcp.workHead, tcb.NO_CONN)
})

test('a flight that is given back goes to whoever waited longest, in the same poll', () => {
  const t = host()
  askFrom(t, 3)
  t.take()
  send(t, { flags: ACK, seq: 6, ack: 101 })
  assert.deepEqual(servedPorts(t), [PEER_PORT + 1])
  send(t, { flags: ACK, seq: 6, ack: 101, port: PEER_PORT + 1 })
  assert.deepEqual(servedPorts(t), [PEER_PORT + 2])
})

test('whoever is reset while it waits is passed over', () => {
  const t = host()
  askFrom(t, 3)
  send(t, { flags: RST, seq: 6, port: PEER_PORT + 1 })
  t.take()
  send(t, { flags: RST, seq: 6 })
  assert.deepEqual(servedPorts(t), [PEER_PORT + 2])
  send(t, { flags: RST, seq: 6, port: PEER_PORT + 2 })
  expectEmpty(t)
})

test('whoever finds the queue full is served by its timer', () => {
  const t = host(2 * FLIGHT_QUEUE_MAX)
  const last = PEER_PORT + FLIGHT_QUEUE_MAX + 1
  askFrom(t, FLIGHT_QUEUE_MAX + 2)
  t.take()
  for (let port = PEER_PORT; port < last; port++) send(t, { flags: RST, seq: 6, port })
  assert.ok(!servedPorts(t).includes(last))
  advance(t, 1000)
  assert.ok(servedPorts(t).includes(last))
})
