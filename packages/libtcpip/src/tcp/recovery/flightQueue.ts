/**
 * Connections that have something to send and no flight for it: `maxFlights` others have something
 * in the network. They are not on the work list, or every batch would look at all of them, and
 * clients that take nothing would slow down those that do. They wait here, first come, first
 * served, and when flights are given back as many are woken. Whoever finds the queue full is left
 * to its persist timer.
 *
 * An entry is a hint and owns nothing: the TCB may be free or have another owner by then, and what
 * is in it says whether anybody still waits.
 */
import { CLOSED } from '../state.ts'
import { FLAGS, NEED_OUTPUT, STATE, WAITS_FOR_FLIGHT } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'

/** How many wait in order, a power of two. */
export const FLIGHT_QUEUE_MAX = 1024

export class FlightQueue {
  readonly conns: Int32Array = new Int32Array(FLIGHT_QUEUE_MAX)
  first = 0
  count = 0
}

/** `c` has something to send, and all flights are taken. */
export function waitForFlight(tcp: Tcp, c: number): void {
  const { tcb, flightQueue: queue } = tcp
  if (tcb[c + FLAGS] & WAITS_FOR_FLIGHT || queue.count === FLIGHT_QUEUE_MAX) return
  tcb[c + FLAGS] |= WAITS_FOR_FLIGHT
  queue.conns[(queue.first + queue.count++) & (FLIGHT_QUEUE_MAX - 1)] = c
}

/** Puts as many of those who wait on the work list as there are flights. */
export function wakeForFlights(tcp: Tcp): void {
  const { tcb, flightQueue: queue } = tcp
  for (let left = tcp.flights.freeCount; left > 0 && queue.count > 0; queue.count--) {
    const c = queue.conns[queue.first]
    queue.first = (queue.first + 1) & (FLIGHT_QUEUE_MAX - 1)
    if (tcb[c + STATE] === CLOSED || (tcb[c + FLAGS] & WAITS_FOR_FLIGHT) === 0) continue
    tcb[c + FLAGS] &= ~WAITS_FOR_FLIGHT
    tcp.addWork(c, NEED_OUTPUT)
    left--
  }
}
