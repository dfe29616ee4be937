/**
 * The SACK options that we send: RFC 2018 §4 (which blocks, in which order), RFC 2883 §4
 * (duplicates first). The peer's window of sequence numbers is small, so that blocks can be read.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tcb } from '../src/index.ts'
import { established, Host, sackBlocks, send } from './kit/host.ts'
import { Random } from './kit/random.ts'
import { ACK, FIN, SYN } from './kit/segment.ts'

function host(timestamps = false): Host {
  const t = new Host()
  established(t, { sack: true, timestamps })
  return t
}

/** The peer sends [from, to); the blocks of the last ACK. */
function blocks(t: Host, from: number, to: number, fin = false): string[] {
  send(t, { flags: fin ? ACK | FIN : ACK, seq: from, ack: 1, data: to - from })
  return sackBlocks(t)
}

test('the first block holds the segment that was last to arrive, the others follow by age', () => {
  const t = host()
  assert.deepEqual(blocks(t, 11, 21), ['11-21'])
  assert.deepEqual(blocks(t, 31, 41), ['31-41', '11-21'])
  assert.deepEqual(blocks(t, 51, 61), ['51-61', '31-41', '11-21'])
  assert.deepEqual(blocks(t, 71, 81), ['71-81', '51-61', '31-41', '11-21'])
  assert.deepEqual(blocks(t, 91, 101), ['91-101', '71-81', '51-61', '31-41'], 'at most four')
  assert.deepEqual(blocks(t, 21, 25), ['11-25', '91-101', '71-81', '51-61'], 'an old one grows')
  assert.deepEqual(blocks(t, 25, 31), ['11-41', '91-101', '71-81', '51-61'], 'two become one')
})

test('blocks vanish when their hole is filled, and the rest are still told', () => {
  const t = host()
  blocks(t, 11, 21)
  blocks(t, 31, 41)
  assert.deepEqual(blocks(t, 1, 11), ['31-41'])
  assert.equal(t.last.ack, (t.irs + 21) | 0)
  assert.deepEqual(blocks(t, 21, 31), [])
  assert.equal(t.last.ack, (t.irs + 41) | 0)
})

test('a block that is still partly behind a hole is told even when an answer goes out', () => {
  const t = host()
  blocks(t, 31, 41)
  t.take()
  t.app.doData = (c, len) => {
    t.tcp.commit(c, 100)
    return len
  }
  assert.deepEqual(blocks(t, 1, 11), [], 'data carries none')
  assert.equal(t.last.data.length, 100)
  assert.deepEqual(
    t.take().map(frame => frame.segment && sackBlocks(t, frame.segment)),
    [['31-41'], []],
  )
})

test('beside timestamps there is room for three', () => {
  const t = host(true)
  for (const from of [11, 31, 51]) blocks(t, from, from + 10)
  assert.deepEqual(blocks(t, 71, 81), ['71-81', '51-61', '31-41'])
  assert.deepEqual(blocks(t, 71, 81), ['71-81', '71-81', '51-61'], 'the duplicate is one of them')
  assert.equal(t.last.options.length, 40)
})

test('a FIN that waits is part of its block', () => {
  const t = host()
  assert.deepEqual(blocks(t, 11, 21, true), ['11-22'])
})

test('the option stands behind two NOPs and fills whole words (RFC 2018 §3)', () => {
  const t = host()
  blocks(t, 11, 21)
  assert.deepEqual([...t.last.options.subarray(0, 4)], [1, 1, 5, 10])
  assert.equal(t.last.options.length, 12)
})

test('a segment below RCV.NXT is reported as duplicate, once (RFC 2883 §4.1)', () => {
  const t = host()
  blocks(t, 1, 11)
  assert.deepEqual(blocks(t, 1, 11), ['1-11'])
  assert.equal(t.last.ack, (t.irs + 11) | 0)
  assert.deepEqual(blocks(t, 21, 31), ['21-31'])
  assert.deepEqual(blocks(t, 5, 9), ['5-9', '21-31'])
  assert.deepEqual(blocks(t, 41, 51), ['41-51', '21-31'])
})

test('a segment partly below RCV.NXT: the old part is reported, the rest taken (RFC 2883 §4.2)', () => {
  const t = host()
  blocks(t, 1, 11)
  assert.deepEqual(blocks(t, 6, 16), ['6-11'])
  assert.equal(t.app.received.length, 15)
  assert.equal(t.last.ack, (t.irs + 16) | 0)
})

test('a duplicate inside a block is reported before the block (RFC 2883 §4, third rule)', () => {
  const t = host()
  blocks(t, 11, 31)
  blocks(t, 51, 61)
  assert.deepEqual(blocks(t, 16, 21), ['16-21', '11-31', '51-61'])
  assert.deepEqual(blocks(t, 26, 36), ['26-31', '11-36', '51-61'], 'partly inside')
})

test('of several duplicate runs the first is reported, and adjacent pieces are one run', () => {
  const t = host()
  blocks(t, 11, 21)
  blocks(t, 41, 51)
  assert.deepEqual(blocks(t, 5, 61), ['11-21', '5-61'])
  const u = host()
  blocks(u, 21, 31)
  blocks(u, 11, 21)
  assert.deepEqual(blocks(u, 15, 29), ['15-29', '11-31'])
  const v = host()
  blocks(v, 1, 11)
  blocks(v, 21, 31)
  assert.deepEqual(blocks(v, 6, 41), ['6-11'])
})

test('several duplicates in one batch are reported each by its own ACK', () => {
  const t = host()
  blocks(t, 1, 41)
  t.take()
  for (const from of [1, 11, 21]) {
    send(t, { flags: ACK, seq: from, ack: 1, data: 10, poll: false })
  }
  t.poll()
  assert.deepEqual(
    t.take().map(frame => frame.segment && sackBlocks(t, frame.segment)),
    [['1-11'], ['11-21'], ['21-31']],
  )
})

test('a repeated SYN, an empty segment and an RST are no duplicates', () => {
  const t = host()
  blocks(t, 1, 11)
  send(t, { flags: SYN, seq: 0 })
  assert.deepEqual(sackBlocks(t), [])
  send(t, { flags: ACK, seq: 0, ack: 1 })
  assert.deepEqual(sackBlocks(t), [])
})

test('a peer that did not offer SACK gets none', () => {
  const t = new Host()
  established(t)
  assert.deepEqual(blocks(t, 11, 21), [])
  assert.deepEqual(blocks(t, 1, 5), [])
  assert.deepEqual(blocks(t, 1, 5), [])
  assert.equal(t.last.options.length, 0)
})

test('an unreported duplicate dies with its connection', () => {
  const t = host()
  blocks(t, 1, 11)
  t.tcp.sack.dupOf = t.conn()
  t.tcp.release(t.conn())
  assert.equal(t.tcp.sack.dupOf, tcb.NO_CONN)
})

test('random arrivals: the first block is right, all blocks are true, and order is by arrival', () => {
  const random = new Random(2018)
  for (let round = 0; round < 200; round++) {
    const t = host()
    // Segment k is bytes 1 + 10 k …; segment 0 is lost. When each block was last touched:
    const touched = new Map<number, number>()
    const order = Array.from({ length: 12 }, (_, i) => i + 1)
    for (let step = 0; order.length > 0; step++) {
      const [k] = order.splice(random.below(order.length), 1)
      touched.set(k, step)
      const got = blocks(t, 1 + 10 * k, 11 + 10 * k)
      assert.deepEqual(got, runsByAge(touched).slice(0, 4))
    }
  }
})

/** Runs of segment numbers as blocks, that with the latest arrival first. */
function runsByAge(touched: Map<number, number>): string[] {
  const runs: { from: number; to: number; age: number }[] = []
  for (let k = 1; k <= 13; k++) {
    const age = touched.get(k)
    if (age === undefined) continue
    const last = runs.at(-1)
    if (last !== undefined && last.to === k) {
      last.to = k + 1
      last.age = Math.max(last.age, age)
    } else runs.push({ from: k, to: k + 1, age })
  }
  runs.sort((a, b) => b.age - a.age)
  return runs.map(run => `${1 + 10 * run.from}-${1 + 10 * run.to}`)
}
