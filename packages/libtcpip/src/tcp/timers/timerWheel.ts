/**
 * Timers: a hierarchical wheel (Varghese and Lauck, 1987) of four levels with 64 slots, one tick a
 * millisecond: 64 ms, 4 s, 4 min, 4.6 h. Every operation costs a bounded number of steps. Lists run
 * through the TCBs themselves (WHEEL_NEXT, WHEEL_PREV); a connection is on the wheel at most once.
 *
 * Re-arming is lazy: a deadline that moves later leaves the wheel alone. The connection is popped
 * at the old time, found not to be due and put back: an ACK costs one store, not a list operation.
 */
import { FLAGS, NO_CONN, ON_WHEEL, WHEEL_AT, WHEEL_NEXT, WHEEL_PREV } from '../tcb.ts'

const LEVELS = 4
const SLOT_BITS = 6
const SLOTS = 1 << SLOT_BITS
const SLOT_MASK = SLOTS - 1
/** A deadline farther away is popped early and put back by its owner. */
const HORIZON_MS = (1 << (SLOT_BITS * LEVELS)) - 1

export class TimerWheel {
  readonly #tcb: Int32Array
  readonly #heads: Int32Array = new Int32Array(LEVELS * SLOTS).fill(NO_CONN)
  readonly #levelCount: Int32Array = new Int32Array(LEVELS)
  #nowMs: number
  #count = 0

  constructor(tcb: Int32Array, nowMs: number) {
    this.#tcb = tcb
    this.#nowMs = nowMs | 0
  }

  get count(): number {
    return this.#count
  }

  /** Makes sure that `c` is popped at `atMs` or earlier. */
  schedule(c: number, atMs: number): void {
    const tcb = this.#tcb
    if (tcb[c + FLAGS] & ON_WHEEL) {
      if (((tcb[c + WHEEL_AT] - atMs) | 0) <= 0) return
      this.cancel(c)
    }
    let delta = (atMs - this.#nowMs) | 0
    if (delta < 1) delta = 1
    if (delta > HORIZON_MS) delta = HORIZON_MS
    this.#link(c, (this.#nowMs + delta) | 0)
  }

  cancel(c: number): void {
    const tcb = this.#tcb
    if ((tcb[c + FLAGS] & ON_WHEEL) === 0) return
    const next = tcb[c + WHEEL_NEXT]
    const prev = tcb[c + WHEEL_PREV]
    const slot = prev < 0 ? ~prev : -1 // the first of a list points back at its slot, complemented
    if (slot >= 0) this.#heads[slot] = next
    else tcb[prev + WHEEL_NEXT] = next
    if (next !== NO_CONN) tcb[next + WHEEL_PREV] = prev
    tcb[c + FLAGS] &= ~ON_WHEEL
    this.#levelCount[this.#levelOf(tcb[c + WHEEL_AT])]--
    this.#count--
  }

  /**
   * Takes out one connection whose time has come by `nowMs`, or returns NO_CONN: call until then.
   */
  pop(nowMs: number): number {
    while (((nowMs - this.#nowMs) | 0) >= 0) {
      const c = this.#heads[this.#nowMs & SLOT_MASK]
      if (c !== NO_CONN) {
        this.cancel(c)
        return c
      }
      if (this.#nowMs === (nowMs | 0)) return NO_CONN
      this.#step(nowMs)
    }
    return NO_CONN
  }

  /** Milliseconds until `pop` may have something, -1 if the wheel is empty. */
  idleMs(nowMs: number): number {
    if (this.#count === 0) return -1
    let stride = 1
    for (let level = 0; level < LEVELS; level++, stride <<= SLOT_BITS) {
      if (this.#levelCount[level] === 0) continue
      const start = this.#nowMs & -stride
      for (let i = level === 0 ? 0 : 1; i <= SLOTS; i++) {
        const at = (start + i * stride) | 0
        const slot = level * SLOTS + ((at >>> (level * SLOT_BITS)) & SLOT_MASK)
        if (this.#heads[slot] === NO_CONN) continue
        const delta = (at - nowMs) | 0
        return delta > 0 ? delta : 0
      }
    }
    return 0
  }

  /** One tick, or a jump over ticks that are known to be empty. */
  #step(nowMs: number): void {
    let stride = 1
    for (let level = 0; level < LEVELS - 1 && this.#levelCount[level] === 0; level++) {
      stride <<= SLOT_BITS
    }
    const target = ((this.#nowMs & -stride) + stride) | 0
    if (((target - nowMs) | 0) > 0) {
      this.#nowMs = nowMs | 0
      return
    }
    this.#nowMs = target
    this.#cascade()
  }

  /** At a boundary the next higher slot's connections come down, level by level. */
  #cascade(): void {
    const tcb = this.#tcb
    for (let level = 1; level < LEVELS; level++) {
      const shift = level * SLOT_BITS
      if ((this.#nowMs & ((1 << shift) - 1)) !== 0) return
      const slot = level * SLOTS + ((this.#nowMs >>> shift) & SLOT_MASK)
      let c = this.#heads[slot]
      while (c !== NO_CONN) {
        const at = tcb[c + WHEEL_AT]
        this.#levelCount[level]--
        this.#count--
        const next = tcb[c + WHEEL_NEXT]
        this.#heads[slot] = next
        this.#link(c, at)
        c = next
      }
    }
  }

  #link(c: number, atMs: number): void {
    const tcb = this.#tcb
    tcb[c + WHEEL_AT] = atMs
    const level = this.#levelOf(atMs)
    const slot = level * SLOTS + ((atMs >>> (level * SLOT_BITS)) & SLOT_MASK)
    const head = this.#heads[slot]
    tcb[c + WHEEL_NEXT] = head
    tcb[c + WHEEL_PREV] = ~slot
    if (head !== NO_CONN) tcb[head + WHEEL_PREV] = c
    this.#heads[slot] = c
    tcb[c + FLAGS] |= ON_WHEEL
    this.#levelCount[level]++
    this.#count++
  }

  /**
   * The level whose slots tell `atMs` and now apart: the highest 6-bit group in which they differ.
   */
  #levelOf(atMs: number): number {
    const differ = atMs ^ this.#nowMs
    if (differ >>> SLOT_BITS === 0) return 0
    if (differ >>> (2 * SLOT_BITS) === 0) return 1
    if (differ >>> (3 * SLOT_BITS) === 0) return 2
    return LEVELS - 1
  }
}
