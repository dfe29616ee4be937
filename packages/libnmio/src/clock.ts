/**
 * Time as a number of microseconds, handed in wherever it is needed. Nothing in this package reads
 * a system clock of its own accord, so the same frames, clock and seed give the same bytes out.
 */
import { assert } from './assert.ts'

/** Microseconds, never going back. Captures and traces want them counted from 1970, UTC. */
export type Clock = () => number

/** A clock that stands still until its owner moves it. */
export class VirtualClock {
  nowUs = 0
  /** The clock as an argument: `new FaultDevice(inner, options, { clock: clock.read })`. */
  readonly read: Clock = () => this.nowUs

  advance(us: number): void {
    assert(us >= 0, 'time does not run backwards')
    this.nowUs += us
  }
}
