/** The pool, the connection table, TIME-WAIT and the timer wheel, each against a plain model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { tcb as fields, Segment } from '../src/index.ts'
import { ConnectionTable } from '../src/tcp/table.ts'
import { TimerWheel } from '../src/tcp/timers/timerWheel.ts'
import {
  NOT_WAITING,
  TimeWait,
  TW_FRAME_KEY,
  TW_RCV_NXT,
  TW_SND_NXT,
  TW_TS_OFFSET,
  TW_TS_RECENT,
} from '../src/tcp/timers/timeWait.ts'

const { KIND_IPV6, TcbPool, NO_CONN, TCB_STRIDE } = fields

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

test('a TCB is given out twice only when it was given back, whatever the order', () => {
  const pool = new TcbPool(4)
  const [a, b] = [pool.alloc(), pool.alloc()]
  pool.free(a)
  const third = pool.alloc()
  pool.free(b)
  const rest = [pool.alloc(), pool.alloc(), pool.alloc()]
  assert.equal(new Set([third, ...rest]).size, 4)
  assert.equal(pool.alloc(), NO_CONN)
  assert.equal(pool.usedCount, 4)
})

/** Secret numbers for a test: the same for a seed. */
function numbers(seed: number): () => number {
  let x = seed
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0
    return x ^ (x >>> 13)
  }
}

/** Whose connection: `kind` says how many of the words count. */
interface Key {
  kind: number
  words: number[]
  local: number
  ports: number
}

/**
 * Addresses that differ in one word or another, IPv4 and IPv6; so few that they meet again. Local
 * addresses of one version are none of the other's.
 */
const word = fc.constantFrom(0, 1, -1, 1 << 31)
const key: fc.Arbitrary<Key> = fc.oneof(
  fc.record({
    kind: fc.constant(0),
    words: word.map(w => [w, 0, 0, 0]),
    local: fc.constantFrom(0, 2),
    ports: fc.constantFrom((1 << 16) | 80, (2 << 16) | 80, (1 << 16) | 81),
  }),
  fc.record({
    kind: fc.constant(KIND_IPV6),
    words: fc.tuple(word, word, word, word).map(words => [...words]),
    local: fc.constantFrom(1, 3),
    ports: fc.constantFrom((1 << 16) | 80, (2 << 16) | 80, (1 << 16) | 81),
  }),
)

function writeKey(tcb: Int32Array, c: number, { kind, words, local, ports }: Key): void {
  for (let i = 0; i < 4; i++) tcb[c + fields.REMOTE + i] = words[i]
  tcb[c + fields.PORTS] = ports
  tcb[c + fields.FRAME_KEY] = fields.frameKey(local, kind | fields.KIND_TIMESTAMPS, ports)
}

function find(table: ConnectionTable, { kind, words, local, ports }: Key): number {
  const [w0, w1, w2, w3] = words
  return kind === 0 ? table.find4(w0, local, ports) : table.find6(w0, w1, w2, w3, local, ports)
}

test('the connection table is a Map, whatever comes and goes', () => {
  const step = fc.record({ key, insert: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), (steps, seed) => {
      const pool = new TcbPool(12)
      const table = new ConnectionTable(pool.tcb, 6, numbers(seed))
      const model = new Map<string, number>()
      for (const { key: who, insert } of steps) {
        const id = JSON.stringify(who)
        const held = model.get(id)
        if (held !== undefined) {
          table.remove(held)
          pool.free(held)
          model.delete(id)
        } else if (insert && model.size < 12) {
          const c = pool.alloc()
          writeKey(pool.tcb, c, who)
          table.insert(c)
          model.set(id, c)
        }
        assert.equal(table.count, model.size)
        for (const { key: other } of steps) {
          assert.equal(find(table, other), model.get(JSON.stringify(other)) ?? NO_CONN)
        }
      }
    }),
    { numRuns: 100 },
  )
})

test('removal closes the gap across the end of the table', () => {
  // 16 slots; connections whose home is one of the last two, so that their cluster wraps around.
  const pool = new TcbPool(8)
  const table = new ConnectionTable(pool.tcb, 8, numbers(1))
  const held: number[] = []
  for (let ports = 1; held.length < 6; ports++) {
    if ((table.hash4(5, 6, ports) & 15) < 14) continue
    const c = pool.alloc()
    writeKey(pool.tcb, c, { kind: 0, words: [5, 0, 0, 0], local: 6, ports })
    table.insert(c)
    held.push(c)
  }
  while (held.length > 0) {
    table.remove(held.shift()!)
    for (const c of held) assert.equal(table.find4(5, 6, pool.tcb[c + fields.PORTS]), c)
  }
  assert.equal(table.count, 0)
})

/** All that a connection is known by, IPv6: w0 … w3, our address, ports. */
type Identity = [number, number, number, number, number, number]

test('a connection with the same slot and tag, different in one field alone, is not taken for it', () => {
  const pool = new TcbPool(1)
  const table = new ConnectionTable(pool.tcb, 1, numbers(3))
  const held = pool.alloc()
  for (let field = 0; field < 6; field++) {
    // Our address has eight bits: of so few, one falls into the same place only for some peers.
    for (let tries = 0, met = 0; met < 3; tries++) {
      assert.ok(tries < 10_000, 'such connections are found')
      const one: Identity = [0x20010db8, tries, 5, 6, 1, (9 << 16) | 80]
      const place = table.hash6(...one) & 0xff00000f
      const other: Identity = [...one]
      for (let value = 2; value < 256 && other[field] === one[field]; value++) {
        other[field] = value
        if ((table.hash6(...other) & 0xff00000f) !== place) other[field] = one[field]
      }
      if (other[field] === one[field]) continue
      met++
      const [local, ports] = one.slice(4)
      writeKey(pool.tcb, held, { kind: KIND_IPV6, words: one.slice(0, 4), local, ports })
      table.insert(held)
      assert.equal(table.find6(...one), held)
      assert.equal(table.find6(...other), NO_CONN, `field ${field}`)
      table.remove(held)
    }
  }
})

/** How many of 1024 homes are taken by 512 connections that differ in one word. */
function spread(hash: (i: number) => number): number {
  return new Set(Array.from({ length: 512 }, (_, i) => hash(i) & 1023)).size
}

test('connections that differ in one word alone spread over the table, whichever word it is', () => {
  const table = new ConnectionTable(new TcbPool(1).tcb, 1, numbers(5))
  const hashes: [string, (i: number) => number][] = [
    ['an IPv4 address', i => table.hash4(0x0a000000 + i, 0, 0x12340050)],
    ['an IPv4 network', i => table.hash4(0x0a000001 + (i << 22), 0, 0x12340050)],
    ['a port', i => table.hash4(0x0a000001, 0, (i << 16) | 80)],
    ['word 0', i => table.hash6(i << 16, 1, 2, 3, 0, 0x12340050)],
    ['word 1', i => table.hash6(0xfd770000, i, 2, 3, 0, 0x12340050)],
    ['word 2', i => table.hash6(0xfd770000, 1, i << 20, 3, 0, 0x12340050)],
    ['word 3', i => table.hash6(0xfd770000, 1, 2, i, 0, 0x12340050)],
  ]
  // Balls thrown at random take 403 of 1024 places, give or take 10.
  for (const [what, hash] of hashes) {
    const taken = spread(hash)
    assert.ok(taken > 340, `${what}: ${taken} of 512`)
  }
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
    what: fc.constantFrom('add', 'add', 'add', 'remove', 'renew', 'pass'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), steps => {
      const waiting = new TimeWait(8, 1000)
      const { tcb } = new TcbPool(1)
      // The ring's positions in order; a removed entry holds its place until its time.
      let model: { id: string; at: number; seq: number; dead: boolean }[] = []
      const push = (id: string, entrySeq: number): void => {
        if (model.length === 8) model.shift()
        model.push({ id, at: now + 1000, seq: entrySeq, dead: false })
      }
      let now = 2 ** 31 - 10_000
      let seq = 0
      for (const { key: who, ms, what } of steps) {
        const hash = (who.words[0] * 31 + who.words[3] + who.ports) & 3
        const id = JSON.stringify(who)
        const held = model.find(entry => entry.id === id && !entry.dead)
        const e = waiting.find(hash, segmentOf(who))
        assert.equal(e !== NOT_WAITING, held !== undefined)
        if (held !== undefined) expectEntry(waiting.entries, e, who, held.seq)
        if (what === 'remove' && held !== undefined) {
          waiting.remove(e)
          held.dead = true
        } else if (what === 'renew' && held !== undefined) {
          expectEntry(waiting.entries, waiting.renew(e, now | 0), who, held.seq)
          // One that has hardly begun to wait stays where it is.
          if (held.at - now <= 1000 - (1000 >> 6)) {
            held.dead = true
            push(id, held.seq)
          }
        } else if (what === 'add' && held === undefined) {
          seq++
          writeKey(tcb, 0, who)
          tcb[fields.SND_NXT] = seq
          tcb[fields.RCV_NXT] = -seq
          tcb[fields.TS_RECENT] = 2 * seq
          tcb[fields.TS_OFFSET] = -2 * seq
          waiting.add(hash, tcb, 0, now | 0)
          push(id, seq)
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

function segmentOf({ kind, words, local, ports }: Key): Segment {
  const seg = new Segment()
  const [remote0, remote1, remote2, remote3] = words
  return Object.assign(seg, { remote0, remote1, remote2, remote3, kind, local, ports })
}

function expectEntry(entries: Int32Array, e: number, who: Key, seq: number): void {
  const kind = who.kind | fields.KIND_TIMESTAMPS
  assert.equal(entries[e + TW_FRAME_KEY], fields.frameKey(who.local, kind, who.ports))
  assert.equal(entries[e + TW_SND_NXT], seq)
  assert.equal(entries[e + TW_RCV_NXT], -seq)
  assert.equal(entries[e + TW_TS_RECENT], 2 * seq)
  assert.equal(entries[e + TW_TS_OFFSET], -2 * seq)
}

test('every bit of FLAGS has one meaning', () => {
  const names = [
    'FIN_QUEUED',
    'RTX_ARMED',
    'PERSIST',
    'APP_ARMED',
    'WAITS_FOR_FLIGHT',
    'IN_RECOVERY',
    'NEED_ACK',
    'NEED_OUTPUT',
    'ON_LIST',
    'PASSIVE',
    'SYN_RESENT',
    'ON_WHEEL',
    'OPENED',
    'IN_RTO',
    'TLP',
    'REORDER',
    'TIMESTAMPS',
    'SACK',
    'ECN',
    'SEND_ECE',
    'SEND_CWR',
    'ACK_DELAYED',
    'KEPT_ALIVE',
    'IN_CWR',
    'ANSWERED',
    'HALF_COUNTED',
    'OPEN_COUNTED',
    'UNRESOLVED',
    'TLP_PROBED',
    'TLP_RESENT',
  ] as const
  const bits = names.map(name => fields[name])
  for (const bit of bits) assert.equal(bit & (bit - 1), 0, `${bit} is one bit`)
  assert.equal(new Set(bits).size, names.length)
})
