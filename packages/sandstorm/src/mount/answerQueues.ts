/**
 * The answers that each connection has under way, oldest first. One is always possible for every
 * connection; what there is beyond those is shared by whoever pipelines, or is answered in parts.
 *
 * State per connection is one word; the queue itself is in the records (packetize/answers.ts).
 */
import { seq } from '@sandstorm/libtcpip'
import { type Answers, BASE, LEN, NEXT, NO_ANSWER } from '../packetize/answers.ts'

export class AnswerQueues {
  readonly #answers: Answers
  readonly #first: Int32Array
  /** Answers beyond the first of each connection: how many there may be. */
  readonly #sharedMax: number
  /** Connections that have an answer. */
  #busyCount = 0
  /** Answers that are to be somebody's first, or belong to a feed, and are in no queue yet. */
  heldCount = 0

  /**
   * `sharedMax`: answers beyond the first of each connection, but for pieces, which are bounded by
   * themselves.
   */
  constructor(answers: Answers, maxConnections: number, sharedMax: number) {
    this.#answers = answers
    this.#sharedMax = sharedMax
    this.#first = new Int32Array(maxConnections)
  }

  /** Connection `i` begins with none. */
  open(i: number): void {
    this.#first[i] = NO_ANSWER
  }

  /** Has the connection an answer under way? */
  isBusy(i: number): boolean {
    return this.#first[i] !== NO_ANSWER
  }

  /** Of the answers that are shared, how many are left. */
  get sharedLeft(): number {
    return this.#sharedMax - (this.#answers.usedCount - this.#busyCount - this.heldCount)
  }

  /** May it have one more, if `most` are the most that one has? */
  hasRoom(i: number, most: number): boolean {
    return !this.isBusy(i) || (this.sharedLeft > 0 && this.count(i) < most)
  }

  /** Answers that connection `i` has under way. */
  count(i: number): number {
    const { records } = this.#answers
    let count = 0
    for (let a = this.#first[i]; a !== NO_ANSWER; a = records[a + NEXT]) count++
    return count
  }

  /** Puts an answer behind the connection's others: a few at most, so they are walked. */
  append(i: number, a: number): void {
    if (this.isBusy(i)) {
      this.#answers.records[this.last(i) + NEXT] = a
    } else {
      this.#first[i] = a
      this.#busyCount++
    }
  }

  /** The latest of a connection that has one. */
  last(i: number): number {
    const { records } = this.#answers
    let last = this.#first[i]
    while (records[last + NEXT] !== NO_ANSWER) last = records[last + NEXT]
    return last
  }

  /** The answer that holds stream byte `from`: the first, unless an ACK straddles two. */
  at(i: number, from: number): number {
    const { records } = this.#answers
    let a = this.#first[i]
    while (seq.span(records[a + BASE], from) >= records[a + LEN]) a = records[a + NEXT]
    return a
  }

  /**
   * The first, if everything before stream byte `una` is acknowledged and it ends there; else
   * NO_ANSWER.
   */
  firstDone(i: number, una: number): number {
    const { records } = this.#answers
    const a = this.#first[i]
    if (a === NO_ANSWER || seq.span(records[a + BASE], una) < records[a + LEN]) return NO_ANSWER
    return a
  }

  /** Gives back the first of a connection that has one; returns which it was. */
  freeFirst(i: number): number {
    const a = this.#first[i]
    this.#first[i] = this.#answers.records[a + NEXT]
    this.#answers.free(a)
    if (!this.isBusy(i)) this.#busyCount--
    return a
  }
}
