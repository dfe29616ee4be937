/**
 * Virtual time: what happens when, in microseconds. Events of one moment run in the order in which
 * they were planned, so a run is the same every time. Nothing ever waits: the clock jumps from one
 * event to the next.
 */
interface Event {
  at: number
  order: number
  go: () => void
}

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order)

export class Events {
  nowUs: number
  /** A binary heap: the earliest event is the first. */
  readonly #heap: Event[] = []
  #order = 0

  constructor(nowUs: number) {
    this.nowUs = nowUs
  }

  /** Plans `go` for a moment that is not over. */
  at(us: number, go: () => void): void {
    const heap = this.#heap
    const event = { at: us, order: this.#order++, go }
    let i = heap.length
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(event, heap[parent])) break
      heap[i] = heap[parent]
      i = parent
    }
    heap[i] = event
  }

  /** Moves the clock to the next event, up to `untilUs`, and runs it; false if there is none. */
  step(untilUs: number = Number.POSITIVE_INFINITY): boolean {
    const next = this.#heap[0]
    if (next === undefined || next.at > untilUs) return false
    this.#removeFirst()
    this.nowUs = next.at
    next.go()
    return true
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    const { length } = heap
    if (length === 0) return
    let i = 0
    for (let child = 1; child < length; child = 2 * i + 1) {
      if (child + 1 < length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[i] = heap[child]
      i = child
    }
    heap[i] = last
  }
}

/** One deadline that is set, moved and cleared as often as one likes. */
export class Timer {
  readonly #events: Events
  readonly #go: () => void
  #dueUs = Number.POSITIVE_INFINITY
  /** The earliest event that is planned for it; a later deadline waits for that one to pass. */
  #plannedUs = Number.POSITIVE_INFINITY

  constructor(events: Events, go: () => void) {
    this.#events = events
    this.#go = go
  }

  get isSet(): boolean {
    return this.#dueUs !== Number.POSITIVE_INFINITY
  }

  /** Replaces the deadline. */
  set(us: number): void {
    this.#dueUs = us
    if (us < this.#plannedUs) this.#plan()
  }

  clear(): void {
    this.#dueUs = Number.POSITIVE_INFINITY
  }

  #plan(): void {
    this.#plannedUs = this.#dueUs
    this.#events.at(this.#dueUs, () => this.#pass())
  }

  #pass(): void {
    // Left over from a deadline that has moved forward.
    if (this.#events.nowUs !== this.#plannedUs) return
    this.#plannedUs = Number.POSITIVE_INFINITY
    if (this.#dueUs > this.#events.nowUs) {
      if (this.isSet) this.#plan()
      return
    }
    this.#dueUs = Number.POSITIVE_INFINITY
    this.#go()
  }
}
