/** The pool, the connection table, TIME-WAIT and the timer wheel, each against a plain model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { tcb as fields } from '../src/index.ts'
import { ConnectionTable } from '../src/tcp/table.ts'
import { TimerWheel } from '../src/tcp/timerWheel.ts'
import { NOT_WAITING, TimeWait, TW_RCV_NXT, TW_SND_NXT } from '../src/tcp/timeWait.ts'

const { TcbPool, NO_CONN, TCB_STRIDE } = fields

test('the pool hands every TCB out once, as new, and takes it back', () => {
  const pool = new TcbPool(10)
  const held = Array.from({ length: 10 }, () => pool.alloc())
  assert.equal(new Set(held).size, 10)
  assert.equal(pool.alloc(), NO_CONN)
  assert.equal(pool.usedCount, 10)
  for (const c of held) {
    assert.equal(c % TCB_STRIDE, 0)
    pool.tcb.fill(7, c, c + TCB_STRIDE)
    pool.free(c)
  }
  const again = pool.alloc()
  const fresh = new TcbPool(1)
  fresh.alloc()
  assert.deepEqual(pool.tcb.subarray(again, again + TCB_STRIDE), fresh.tcb)
  assert.ok(
    fresh.tcb.every(field => field === 0 || field === -1),
    'nothing, or no list',
  )
})

/** One step on a table of at most 12 connections out of few addresses, so that slots collide. */
const key = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 9 }))

test('the connection table is a Map, whatever comes and goes', () => {
  const step = fc.record({ key, insert: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), fc.integer(), (steps, k0, k1) => {
      const pool = new TcbPool(12)
      const table = new ConnectionTable(pool.tcb, 6, k0, k1)
      const model = new Map<string, number>()
      for (const { key: pair, insert } of steps) {
        const [addr, ports] = pair
        const held = model.get(String(pair))
        if (held !== undefined) {
          table.remove(held)
          pool.free(held)
          model.delete(String(pair))
        } else if (insert && model.size < 12) {
          const c = pool.alloc()
          pool.tcb[c + fields.REMOTE_ADDR] = addr
          pool.tcb[c + fields.LOCAL_ADDR] = 99
          pool.tcb[c + fields.PORTS] = ports
          table.insert(c)
          model.set(String(pair), c)
        }
        assert.equal(table.count, model.size)
        for (let a = 1; a <= 6; a++) {
          for (let p = 1; p <= 9; p++) {
            assert.equal(table.find(a, 99, p), model.get(String([a, p])) ?? NO_CONN)
          }
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('removal closes the gap across the end of the table', () => {
  // 16 slots; connections whose home is one of the last two, so that their cluster wraps around.
  const pool = new TcbPool(8)
  const table = new ConnectionTable(pool.tcb, 8, 1, 2)
  const held: number[] = []
  for (let ports = 1; held.length < 6; ports++) {
    if ((table.hash(5, 6, ports) & 15) < 14) continue
    const c = pool.alloc()
    pool.tcb[c + fields.REMOTE_ADDR] = 5
    pool.tcb[c + fields.LOCAL_ADDR] = 6
    pool.tcb[c + fields.PORTS] = ports
    table.insert(c)
    held.push(c)
  }
  while (held.length > 0) {
    table.remove(held.shift()!)
    for (const c of held) assert.equal(table.find(5, 6, pool.tcb[c + fields.PORTS]), c)
  }
  assert.equal(table.count, 0)
})

test('the timer wheel is a sorted list: nothing late, nothing lost, across the wrap of the clock', () => {
  const step = fc.record({
    c: fc.integer({ min: 0, max: 15 }),
    // Delays on all levels, and beyond the horizon.
    ms: fc.oneof(
      fc.integer({ min: -5, max: 70 }),
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 0, max: 400_000 }),
      fc.integer({ min: 0, max: 30_000_000 }),
    ),
    what: fc.constantFrom('schedule', 'schedule', 'cancel', 'pass', 'pass'),
  })
  const start = fc.constantFrom(0, 2 ** 31 - 100_000, -1000, -(2 ** 31), 2 ** 24 - 50, 262_143)
  fc.assert(
    fc.property(start, fc.array(step, { maxLength: 150 }), (from, steps) => {
      const pool = new TcbPool(16)
      const wheel = new TimerWheel(pool.tcb, from)
      const model = new Map<number, number>() // handle → deadline, not wrapped
      let now = from
      for (const { c: index, ms, what } of steps) {
        const c = index * TCB_STRIDE
        if (what === 'schedule') {
          // Like its users: a later deadline than the one on the wheel is kept by the owner.
          const at = now + Math.max(ms, 1)
          model.set(c, at)
          wheel.schedule(c, at | 0)
        } else if (what === 'cancel') {
          model.delete(c)
          wheel.cancel(c)
        } else {
          const until = now + Math.abs(ms)
          run(wheel, model, now, until)
          now = until
        }
        assert.equal(wheel.idleMs(now | 0) < 0, wheel.count === 0)
      }
      for (const at of [...model.values()].sort((a, b) => a - b)) {
        if (at <= now) continue
        run(wheel, model, now, at)
        now = at
      }
      assert.equal(model.size, 0)
    }),
    { numRuns: 300 },
  )
})

/** Lets time pass from sleep to sleep, as a server does; everything due must be popped by then. */
function run(wheel: TimerWheel, model: Map<number, number>, from: number, until: number): void {
  let now = from
  for (let turn = 0; ; turn++) {
    assert.ok(turn < 10_000, 'sleeping makes progress')
    for (let c = wheel.pop(now | 0); c !== NO_CONN; c = wheel.pop(now | 0)) {
      const at = model.get(c)
      if (at === undefined) continue
      if (at <= now) model.delete(c)
      else wheel.schedule(c, at | 0)
    }
    for (const at of model.values()) assert.ok(at > now, `${at - now} ms late`)
    const idle = wheel.idleMs(now | 0)
    if (idle < 0 || now + idle > until) break
    assert.ok(idle > 0, 'what is due was popped')
    now += idle
  }
  // Sleeping beyond the last wake-up changes nothing.
  assert.equal(wheel.pop(until | 0), NO_CONN)
}

test('TIME-WAIT is a queue with look-up: found until it expires, is removed, or gives way', () => {
  const step = fc.record({
    key,
    ms: fc.integer({ min: 0, max: 400 }),
    what: fc.constantFrom('add', 'add', 'add', 'remove', 'pass'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), steps => {
      const waiting = new TimeWait(8, 1000)
      // The ring's positions in order; a removed entry holds its place until its time.
      let model: { id: string; at: number; seq: number; dead: boolean }[] = []
      let now = 2 ** 31 - 10_000
      let seq = 0
      for (const { key: pair, ms, what } of steps) {
        const [addr, ports] = pair
        const hash = (addr * 31 + ports) & 3
        const id = String(pair)
        const held = model.find(entry => entry.id === id && !entry.dead)
        const e = waiting.find(hash, addr, 1, ports)
        assert.equal(e !== NOT_WAITING, held !== undefined)
        if (held !== undefined) {
          assert.equal(waiting.entries[e + TW_SND_NXT], held.seq)
          assert.equal(waiting.entries[e + TW_RCV_NXT], -held.seq)
        }
        if (what === 'remove' && held !== undefined) {
          waiting.remove(e)
          held.dead = true
        } else if (what === 'add' && held === undefined) {
          seq++
          waiting.add(hash, addr, 1, ports, seq, -seq, now | 0)
          if (model.length === 8) model.shift()
          model.push({ id, at: now + 1000, seq, dead: false })
        } else if (what === 'pass') {
          now += ms
          waiting.expire(now | 0)
          while (model.length > 0 && (model[0].dead || model[0].at <= now)) model.shift()
          const idle = waiting.idleMs(now | 0)
          assert.equal(idle, model.length === 0 ? -1 : model[0].at - now)
        }
        model = model.filter(Boolean)
        assert.equal(waiting.count, model.filter(entry => !entry.dead).length)
      }
    }),
    { numRuns: 200 },
  )
})
