/**
 * One worker's share of a device: its own queue, and the frames that came to others' queues
 * although they are of this worker's flows (flow.ts). A frame for somebody else is copied into that
 * worker's mailbox; where that is full it waits, and with it what came behind it, so nothing is
 * lost and nothing overtakes within a flow. What is sent goes out by the worker's own queue.
 *
 * Invariants: a frame is the caller's from `rx` until the next one, whether it lies in the queue's
 * memory or in a mailbox. Who sleeps is woken by whoever hands it something: it says that it will
 * sleep before it looks into its mailboxes for the last time.
 */
import { BATCH_MAX, type Device } from '../device.ts'
import { wakeUp } from '../sys/waiter.ts'
import { DelegateDevice } from '../wrap/delegate.ts'
import { type FlowShare, workerOfFrame } from './flow.ts'
import { ABSENT, ASLEEP, AWAKE, mailboxOff, stateWord } from './hub.ts'
import { Mailbox } from './mailbox.ts'

/** While a mailbox is full we look again after this long; its reader may be busy. */
const FULL_US = 100

export interface SpreadOptions extends FlowShare {
  /** Byte offset of the hub in the region (hub.ts). */
  readonly hub: number
  /** Of each worker the eventfd that ends its wait. */
  readonly wakeFds: readonly number[]
}

/** A queue that hands what is another worker's over to it. */
export class SpreadDevice extends DelegateDevice {
  override readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)

  readonly #options: SpreadOptions
  readonly #words: Int32Array
  readonly #view: DataView
  /** By the number of the other worker; our own stay unused. */
  readonly #inboxes: readonly Mailbox[]
  readonly #outboxes: readonly Mailbox[]
  /** 1: this worker is to be woken. */
  readonly #isHanded: Uint8Array
  /** The queue's batch: frames [next, end) of it are not yet looked at. */
  #next = 0
  #end = 0
  #isBlocked = false

  /** `inner`: the queue; its region holds the hub too. */
  constructor(inner: Device, options: SpreadOptions) {
    super(inner)
    const { region } = inner
    const { hub, worker, spread } = options
    const box = (from: number, to: number): Mailbox =>
      new Mailbox(region, mailboxOff(hub, spread.count, from, to))
    const others = Array.from({ length: spread.count }, (_, i) => i)
    this.#options = options
    this.#words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
    this.#view = region.view
    this.#inboxes = others.map(other => box(other, worker))
    this.#outboxes = others.map(other => box(worker, other))
    this.#isHanded = new Uint8Array(spread.count)
    for (const inbox of this.#inboxes) inbox.openToRead()
    for (const outbox of this.#outboxes) outbox.openToWrite()
    this.#setState(AWAKE)
  }

  override rx(): number {
    for (const inbox of this.#inboxes) inbox.release()
    if (this.#next === this.#end) {
      this.#next = 0
      this.#end = this.inner.rx()
    }
    const kept = this.#sort()
    this.#wakeOthers()
    return this.#takeOver(kept)
  }

  /**
   * Keeps what is ours of the queue's batch, and hands over the rest; returns how many were kept.
   */
  #sort(): number {
    const { inner } = this
    const { spread, worker } = this.#options
    let count = 0
    this.#isBlocked = false
    for (; this.#next < this.#end; this.#next++) {
      const off = inner.rxOff[this.#next]
      const len = inner.rxLen[this.#next]
      const flags = inner.rxFlags[this.#next]
      const owner = workerOfFrame(spread, this.#view, off, len)
      if (owner === worker) this.#keep(count++, off, len, flags)
      else if (!this.#handOver(owner, off, len, flags)) {
        this.#isBlocked = true
        break
      }
    }
    return count
  }

  #keep(i: number, off: number, len: number, flags: number): void {
    this.rxOff[i] = off
    this.rxLen[i] = len
    this.rxFlags[i] = flags
  }

  /** False: there is no room now. */
  #handOver(to: number, off: number, len: number, flags: number): boolean {
    if (Atomics.load(this.#words, stateWord(this.#options.hub, to)) === ABSENT) {
      this.stats.rxDropped++
      return true
    }
    this.#isHanded[to] = 1
    if (!this.#outboxes[to].put(off, len, flags)) return false
    this.stats.rxHandedOver++
    return true
  }

  #wakeOthers(): void {
    const { hub, wakeFds } = this.#options
    for (let to = 0; to < this.#isHanded.length; to++) {
      if (this.#isHanded[to] === 0) continue
      this.#isHanded[to] = 0
      const isAsleep = Atomics.load(this.#words, stateWord(hub, to)) === ASLEEP
      if (!isAsleep) continue
      this.stats.syscalls++
      wakeUp(wakeFds[to])
    }
  }

  /** Fills up the batch with what others handed to us. */
  #takeOver(kept: number): number {
    let count = kept
    for (const inbox of this.#inboxes) {
      while (count < BATCH_MAX && inbox.take()) {
        this.#keep(count++, inbox.off, inbox.len, inbox.flags)
      }
    }
    return count
  }

  override wait(timeoutUs: number): void {
    this.#setState(ASLEEP)
    const isLong = timeoutUs < 0 || timeoutUs > FULL_US
    if (this.#hasMail()) this.inner.wait(0)
    else this.inner.wait(this.#isBlocked && isLong ? FULL_US : timeoutUs)
    this.#setState(AWAKE)
  }

  #hasMail(): boolean {
    for (const inbox of this.#inboxes) if (!inbox.isEmpty) return true
    return false
  }

  #setState(state: number): void {
    const { hub, worker } = this.#options
    Atomics.store(this.#words, stateWord(hub, worker), state)
  }

  override close(): void {
    this.#setState(ABSENT)
    this.inner.close()
  }
}
