/**
 * Flights: what a connection has in the network. A flight exists from the first byte that is sent
 * to the moment when everything is acknowledged; an idle connection has none. It holds the state of
 * loss recovery and a list of *records*, one per burst: which sequence numbers, sent when, and what
 * became of them. That is the scoreboard of RFC 6675 and all that RACK (RFC 8985) needs to know;
 * the bytes themselves stay with the application, so a record is 20 bytes, however long the burst.
 *
 * Records of a flight cover [SND_UNA, SND_NXT) without gaps, in order. A selective ACK or a
 * retransmission that concerns a part of a record splits it. Bounded: two records per flight are
 * always to be had, more come from a common reserve, RECORDS_MAX at most (CVE-2019-11478); without
 * one a SACK block is ignored, or what is lost counts as sent for a while, which is safe.
 */
import { assert } from '@sandstorm/libnmio'
import { gt, le, lt } from '../seq.ts'

// Fields of a flight: `flights[f + SACKED]`
export const FIRST = 0 // oldest record
export const LAST = 1
export const COUNT = 2 // records
export const SACKED = 3 // bytes selectively acknowledged; without SACK, a segment per duplicate ACK
export const LOST = 4 // bytes taken for lost and not sent again yet
export const DUP_ACKS = 5
export const RECOVER = 6 // SND_NXT when recovery began (RFC 6582)
// RACK (RFC 8985 §5.2, §5.3): of all that was delivered, what was sent last
export const RACK_AT = 7
export const RACK_END = 8
export const RACK_RTT = 9
export const RACK_FACK = 10 // highest delivered
export const DSACK_ROUND = 11 // SND_NXT at the last DSACK that widened the reordering window
// PRR (RFC 9937 §6)
export const PRR_DELIVERED = 12
export const PRR_OUT = 13
export const RECOVER_FS = 14
// Undo (RFC 3522, RFC 3708): what to go back to if nothing was lost
export const UNDO_TS = 15 // our timestamp at the first retransmission
export const UNDO_BYTES = 16 // retransmitted and not yet known to be a duplicate
export const UNDO_WORDS = 17 // … 23: CWND, SSTHRESH and the algorithm's CC_WORDS
export const FRTO = 24 // F-RTO (RFC 5682 §2.1): 1 after the time-out, 2 after the first ACK; 0: off
export const STAMP = 25 // AT of what was sent last
export const SENT_LAST = 26 // record of the latest transmission
// Path MTU discovery (pathMtu.ts): a router's message that is to be borne out
export const TOO_BIG_MTU = 27 // 0: none
export const TOO_BIG_SEQ = 28
// Pacing (pacing.ts)
export const PACED_AT = 29 // microseconds: when the next burst may begin
export const PACED_LEFT = 30 // bytes of this one that have not left yet
const FLIGHT_STRIDE = 31

// Fields of a record: `records[r + SEQ]`
export const SEQ = 0
export const END = 1
export const AT = 2 // microseconds: when its bytes were last sent
export const BITS = 3
export const NEXT = 4 // the record behind it
const RECORD_STRIDE = 5

// Bits of a record
export const IS_SACKED = 1
export const IS_LOST = 2 // taken for lost, waits for retransmission
export const IS_RESENT = 4 // was sent more than once
export const IS_TIMED = 8 // has given its round-trip sample
/** The peer's window was shut: a single byte that it may have thrown away. */
export const IS_PROBE = 16

export const NO_FLIGHT = -1
export const NO_RECORD = -1
/** UNDO_BYTES: nothing was saved, or there is no way back. */
export const NO_UNDO = -1

/**
 * Of one flight: few are needed, since a burst that follows the last one closely joins its record.
 */
const RECORDS_MAX = 256

export class Flights {
  readonly flights: Int32Array
  readonly records: Int32Array
  readonly capacity: number
  readonly #freeFlights: Int32Array
  #freeFlightCount: number
  readonly #freeRecords: Int32Array
  #freeRecordCount: number
  /** Records beyond two per flight, and how many there may be. */
  #extra = 0
  readonly #extraMax: number
  #beforeLost = NO_RECORD

  constructor(capacity: number) {
    this.capacity = capacity
    this.#extraMax = capacity + RECORDS_MAX
    const recordCount = 2 * capacity + this.#extraMax
    this.flights = new Int32Array(capacity * FLIGHT_STRIDE)
    this.records = new Int32Array(recordCount * RECORD_STRIDE)
    this.#freeFlights = new Int32Array(capacity)
    this.#freeRecords = new Int32Array(recordCount)
    this.#freeFlightCount = capacity
    this.#freeRecordCount = recordCount
    for (let i = 0; i < capacity; i++) this.#freeFlights[i] = (capacity - 1 - i) * FLIGHT_STRIDE
    for (let i = 0; i < recordCount; i++) {
      this.#freeRecords[i] = (recordCount - 1 - i) * RECORD_STRIDE
    }
  }

  /** Is no flight left? */
  get isFull(): boolean {
    return this.#freeFlightCount === 0
  }

  get freeCount(): number {
    return this.#freeFlightCount
  }

  get usedCount(): number {
    return this.capacity - this.#freeFlightCount
  }

  get usedRecordCount(): number {
    return this.records.length / RECORD_STRIDE - this.#freeRecordCount
  }

  /** An empty flight, or NO_FLIGHT. `una`: nothing below it is in the network. */
  open(una: number, nowUs: number): number {
    if (this.#freeFlightCount === 0) return NO_FLIGHT
    const f = this.#freeFlights[--this.#freeFlightCount]
    const flights = this.flights
    flights[f + FIRST] = NO_RECORD
    flights[f + LAST] = NO_RECORD
    flights[f + COUNT] = 0
    flights[f + SACKED] = 0
    flights[f + LOST] = 0
    flights[f + DUP_ACKS] = 0
    flights[f + RECOVER] = (una - 1) | 0
    flights[f + RACK_RTT] = -1
    flights[f + RACK_FACK] = una
    flights[f + DSACK_ROUND] = una
    flights[f + UNDO_BYTES] = NO_UNDO
    flights[f + FRTO] = 0
    flights[f + TOO_BIG_MTU] = 0
    flights[f + STAMP] = (nowUs - 1) | 0
    flights[f + SENT_LAST] = NO_RECORD
    flights[f + PACED_AT] = nowUs
    flights[f + PACED_LEFT] = 0
    return f
  }

  /** Everything is acknowledged, or the connection is gone. */
  close(f: number): void {
    while (this.flights[f + FIRST] !== NO_RECORD) this.shift(f)
    this.#freeFlights[this.#freeFlightCount++] = f
  }

  /** Is there a record for new data that is sent now? */
  canAppend(f: number): boolean {
    const last = this.flights[f + LAST]
    return this.#hasRecord(f) || (last !== NO_RECORD && this.records[last + BITS] === 0)
  }

  /**
   * [seq, end) was sent for the first time at `nowUs`. If nothing was sent since the bytes before
   * it, and they left less than `closeUs` ago, the two bursts are one; `canAppend` was true.
   */
  append(f: number, seq: number, end: number, nowUs: number, closeUs: number): void {
    const { flights, records } = this
    const last = flights[f + LAST]
    if (last !== NO_RECORD && records[last + BITS] === 0) {
      const isNext = flights[f + SENT_LAST] === last && ((nowUs - records[last + AT]) | 0) < closeUs
      if (isNext || !this.#hasRecord(f)) {
        records[last + END] = end
        return
      }
    }
    const r = this.#alloc(f)
    records[r + SEQ] = seq
    records[r + END] = end
    records[r + AT] = this.stamp(f, nowUs)
    records[r + BITS] = 0
    records[r + NEXT] = NO_RECORD
    if (last === NO_RECORD) flights[f + FIRST] = r
    else records[last + NEXT] = r
    flights[f + LAST] = r
    flights[f + SENT_LAST] = r
  }

  /**
   * The time of a transmission. The clock stands still during a batch, yet RACK must know what left
   * first: of two transmissions of one flight the later has the later time.
   */
  stamp(f: number, nowUs: number): number {
    const last = this.flights[f + STAMP]
    const at = ((nowUs - last) | 0) > 0 ? nowUs : (last + 1) | 0
    this.flights[f + STAMP] = at
    return at
  }

  /** Gives up the oldest record. */
  shift(f: number): void {
    const { flights, records } = this
    const r = flights[f + FIRST]
    const next = records[r + NEXT]
    flights[f + FIRST] = next
    if (next === NO_RECORD) flights[f + LAST] = NO_RECORD
    this.#free(f, r)
  }

  /** Cuts a record in two at `at`, strictly inside it; false if there is no record for the rest. */
  split(f: number, r: number, at: number): boolean {
    const { flights, records } = this
    if (!this.#hasRecord(f)) return false
    const rest = this.#alloc(f)
    records[rest + SEQ] = at
    records[rest + END] = records[r + END]
    records[rest + AT] = records[r + AT]
    records[rest + BITS] = records[r + BITS]
    records[rest + NEXT] = records[r + NEXT]
    records[r + END] = at
    records[r + NEXT] = rest
    if (flights[f + LAST] === r) flights[f + LAST] = rest
    return true
  }

  /** Takes the record behind `r` into it. */
  joinNext(f: number, r: number): void {
    const { flights, records } = this
    const next = records[r + NEXT]
    records[r + END] = records[next + END]
    records[r + BITS] |= records[next + BITS]
    records[r + NEXT] = records[next + NEXT]
    if (flights[f + LAST] === next) flights[f + LAST] = r
    this.#free(f, next)
  }

  /** Cuts records so that [start, end) consists of whole ones, as far as records last. */
  carve(f: number, start: number, end: number): void {
    const records = this.records
    for (let r = this.flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
      if (le(end, records[r + SEQ])) return
      if (lt(records[r + SEQ], start) && gt(records[r + END], start)) this.split(f, r, start)
      else if (lt(records[r + SEQ], end) && gt(records[r + END], end)) this.split(f, r, end)
    }
  }

  /** Takes a record for lost. */
  markLost(f: number, r: number): void {
    const { flights, records } = this
    if (records[r + BITS] & (IS_LOST | IS_SACKED)) return
    records[r + BITS] |= IS_LOST
    flights[f + LOST] += (records[r + END] - records[r + SEQ]) | 0
  }

  /** Nothing is taken for lost any more. */
  clearLost(f: number): void {
    const { flights, records } = this
    flights[f + LOST] = 0
    for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
      records[r + BITS] &= ~IS_LOST
    }
  }

  /** Forgets what was selectively acknowledged, as the receiver may (RFC 2018 §8). */
  clearSacked(f: number): void {
    const { flights, records } = this
    flights[f + SACKED] = 0
    for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
      records[r + BITS] &= ~IS_SACKED
    }
  }

  /**
   * The peer is silent: what it had SACKed is forgotten (RFC 2018 §8), everything is taken for
   * lost, and one record is enough for it.
   */
  loseAll(f: number): void {
    const { flights, records } = this
    this.clearSacked(f)
    const first = flights[f + FIRST]
    this.markLost(f, first)
    while (records[first + NEXT] !== NO_RECORD) {
      this.markLost(f, records[first + NEXT])
      this.joinNext(f, first)
    }
  }

  /** Is anything lost, or sent again and not known to be delivered? */
  hasRepairs(f: number): boolean {
    const { flights, records } = this
    if (flights[f + LOST] > 0) return true
    for (let r = flights[f + FIRST]; r !== NO_RECORD; r = records[r + NEXT]) {
      if ((records[r + BITS] & (IS_RESENT | IS_SACKED)) === IS_RESENT) return true
    }
    return false
  }

  /** The first record that waits for retransmission; there is one while LOST > 0. */
  firstLost(f: number): number {
    const records = this.records
    let r = this.flights[f + FIRST]
    this.#beforeLost = NO_RECORD
    while ((records[r + BITS] & IS_LOST) === 0) {
      assert(records[r + NEXT] !== NO_RECORD, 'LOST counts the bytes of lost records')
      this.#beforeLost = r
      r = records[r + NEXT]
    }
    return r
  }

  /**
   * `r`, which `firstLost` found, was sent again at `nowUs`. If the transmission before it was that
   * of the bytes before it, and less than `closeUs` ago, the two are one record.
   */
  noteSentAgain(f: number, r: number, nowUs: number, closeUs: number): void {
    const { flights, records } = this
    const before = this.#beforeLost
    records[r + AT] = this.stamp(f, nowUs)
    records[r + BITS] = (records[r + BITS] & ~IS_LOST) | IS_RESENT
    const isNext =
      before !== NO_RECORD &&
      flights[f + SENT_LAST] === before &&
      records[before + BITS] === records[r + BITS] &&
      ((nowUs - records[before + AT]) | 0) < closeUs
    if (isNext) this.joinNext(f, before)
    else flights[f + SENT_LAST] = r
  }

  #hasRecord(f: number): boolean {
    const count = this.flights[f + COUNT]
    return count < 2 || (count < RECORDS_MAX && this.#extra < this.#extraMax)
  }

  #free(f: number, r: number): void {
    if (this.flights[f + SENT_LAST] === r) this.flights[f + SENT_LAST] = NO_RECORD
    if (--this.flights[f + COUNT] >= 2) this.#extra--
    this.#freeRecords[this.#freeRecordCount++] = r
  }

  #alloc(f: number): number {
    assert(this.#freeRecordCount > 0, 'records are reserved for every flight')
    if (this.flights[f + COUNT]++ >= 2) this.#extra++
    return this.#freeRecords[--this.#freeRecordCount]
  }
}
