/**
 * Our own window scale (RFC 7323 §2): a receive window above 64 KB. The peer's: handshake.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { scaleFor } from '../src/tcp/window.ts'
import { established, expectSent, Host, send, synOptions } from './kit/host.ts'
import { Random } from './kit/random.ts'
import { ACK, SYN } from './kit/segment.ts'

test('the scale is the least that lets the window be told', () => {
  for (const [bytes, scale] of [
    [1, 0],
    [65535, 0],
    [65536, 1],
    [131070, 1],
    [131071, 2],
    [1 << 20, 5],
    [65535 << 14, 14],
  ]) {
    assert.equal(scaleFor(bytes), scale, `${bytes} bytes`)
  }
})

test('the SYN-ACK offers our scale and an unscaled window; what follows is scaled', () => {
  const t = new Host({ tcp: { receiveWindow: 1 << 20 } })
  send(t, { flags: SYN, options: synOptions(t, { wscale: 3 }), win: 1000 })
  assert.match(t.sent[0].line, /win 65535, options \[mss 1460,nop,wscale 5\]/)
  send(t, { flags: ACK, seq: 1, ack: 1, win: 1000 })
  assert.equal(t.field(tcb.SND_WND), 8000, 'and so is what the peer says')
  send(t, { flags: ACK, seq: 1, ack: 1, data: 10 })
  assert.equal(t.last.win << 5, 1 << 20)
})

test('a peer without window scale gets at most 65535 bytes', () => {
  const t = new Host({ tcp: { receiveWindow: 1 << 20 } })
  const c = established(t)
  send(t, { flags: ACK, seq: 1, ack: 1, data: 1460 })
  assert.equal(t.last.win, 65535)
  t.tcp.setReceiveSpace(c, 1 << 20)
  send(t, { flags: ACK, seq: 1461, ack: 1, data: 1460 })
  assert.equal(t.last.win, 65535)
})

test('the right edge never moves back, however odd the pieces that arrive (SHLD-14)', () => {
  for (const receiveWindow of [65535, 65536, 200_000, 1 << 24, 65535 << 14]) {
    const t = new Host({ tcp: { receiveWindow } })
    const c = established(t, { wscale: 2 })
    const scale = scaleFor(receiveWindow)
    const random = new Random(1)
    let edge = 65535
    let taken = receiveWindow
    t.app.doData = (_c, len) => {
      taken += len
      return len
    }
    for (let seq = 1; seq < 150_000; ) {
      // The application takes bytes out of its buffer now and then; else there is less room.
      if (random.chance(0.1)) taken = 0
      t.tcp.setReceiveSpace(c, Math.max(0, receiveWindow - taken))
      const data = Math.min(1 + random.below(1460), (edge - seq) | 0)
      if (data <= 0) {
        taken = 0
        t.tcp.setReceiveSpace(c, receiveWindow)
        t.poll()
      } else {
        send(t, { flags: ACK, seq, ack: 1, data })
        seq += data
      }
      const next = ((t.last.ack - t.irs) | 0) + t.last.win * 2 ** scale
      assert.ok(next >= edge, `${receiveWindow}: ${next} after ${edge}`)
      assert.ok(t.last.win <= 65535)
      edge = next
    }
  }
})

test('a window that is not opened again shuts, and then takes nothing', () => {
  const t = new Host({ tcp: { receiveWindow: 1 << 20 } })
  const c = established(t, { wscale: 2 })
  t.app.doData = (_c, len) => {
    t.tcp.setReceiveSpace(c, 0)
    return len
  }
  let edge = 65536
  let seq = 1
  for (let count = 0; seq < edge; count++) {
    assert.ok(edge <= 65536 + 32 * count, 'rounding gives less than one step away for each ACK')
    const data = Math.min(1000, edge - seq)
    send(t, { flags: ACK, seq, ack: 1, data })
    seq += data
    edge = ((t.last.ack - t.irs) | 0) + (t.last.win << 5)
  }
  assert.equal(t.last.win, 0)
  t.take()
  send(t, { flags: ACK, seq, ack: 1, data: 1 })
  expectSent(t, [`. 1 ack ${seq}`])
  assert.equal(t.app.received.length, seq - 1)
})
