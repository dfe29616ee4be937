/** Nobody there: CLOSED and LISTEN (RFC 9293 §3.10.7.1, §3.10.7.2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expectEmpty, expectSent, Host, send } from './kit/host.ts'
import { ACK, FIN, PSH, RST, SYN, URG } from './kit/segment.ts'

const XMAS = FIN | PSH | URG

/** [flags, data bytes, the answer]; the peer's seq is 10, its ack 77. */
const CLOSED: [string, number, number, string[]][] = [
  ['SYN', SYN, 0, ['R. 0 ack 11']],
  ['SYN with data', SYN, 5, ['R. 0 ack 16']],
  ['ACK', ACK, 0, ['R 77']],
  ['ACK with data', ACK | PSH, 9, ['R 77']],
  ['SYN-ACK', SYN | ACK, 0, ['R 77']],
  ['FIN', FIN, 0, ['R. 0 ack 11']],
  ['FIN-ACK', FIN | ACK, 0, ['R 77']],
  ['SYN-FIN', SYN | FIN, 0, ['R. 0 ack 12']],
  ['no flag', 0, 0, ['R. 0 ack 10']],
  ['no flag, data', 0, 3, ['R. 0 ack 13']],
  ['Xmas', XMAS, 0, ['R. 0 ack 11']],
  ['RST', RST, 0, []],
  ['RST-ACK', RST | ACK, 0, []],
  ['RST-SYN', RST | SYN, 0, []],
  ['RST with data', RST, 5, []],
]

const LISTEN: [string, number, number, string[]][] = [
  ['ACK', ACK, 0, ['R 77']],
  ['ACK with data', ACK | PSH, 9, ['R 77']],
  ['SYN-ACK', SYN | ACK, 0, ['R 77']],
  ['FIN', FIN, 0, []],
  ['FIN-ACK', FIN | ACK, 0, ['R 77']],
  ['SYN-FIN', SYN | FIN, 0, []],
  ['no flag', 0, 0, []],
  ['no flag, data', 0, 3, []],
  ['Xmas', XMAS, 0, []],
  ['RST', RST, 0, []],
  ['RST-ACK', RST | ACK, 0, []],
  ['RST-SYN', RST | SYN, 0, []],
]

for (const [state, dstPort, table] of [
  ['CLOSED', 81, CLOSED],
  ['LISTEN', 80, LISTEN],
] as const) {
  for (const [name, flags, data, answer] of table) {
    test(`${state}: ${name} is answered with ${answer.length > 0 ? answer : 'nothing'}`, () => {
      const t = new Host()
      send(t, { flags, seq: 10, ack: 77, data, dstPort })
      const dropped = t.tcp.drops.reduce((sum, n) => sum + n)
      assert.equal(dropped, 1, 'one named drop')
      expectSent(t, answer)
      expectEmpty(t)
    })
  }
}

test('a port that is not listened to any more keeps its connections', () => {
  const t = new Host()
  send(t, { flags: SYN })
  t.tcp.unlisten(80)
  t.take()
  send(t, { flags: ACK, seq: 1, ack: 1 })
  assert.equal(t.state(), 'ESTABLISHED')
  send(t, { flags: SYN, port: 2 })
  expectSent(t, ['R. 0 ack 1'])
})
