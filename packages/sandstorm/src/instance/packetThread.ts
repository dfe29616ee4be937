/**
 * One packet thread as the main thread sees it. What is told to it is one int32 and the device's
 * wake-up, and messages; what it tells is when it serves, what it was asked, and how it ended.
 */
import { Worker } from 'node:worker_threads'
import { wakeDevice } from '@sandstorm/libnmio'
import type { Inquiry, Reply } from '../control/inquiry.ts'
import type { ServerStats } from '../stats.ts'
import type { FeedOrder } from './feedOrder.ts'
import { MAIL, type Mail, type WorkerMessage, type WorkerSetup } from './workerSetup.ts'

/** How a thread ended. */
export type Ending =
  /** It was told to. */
  | { readonly kind: 'stopped'; readonly stats: ServerStats }
  /** Its device is gone. */
  | { readonly kind: 'down'; readonly message: string; readonly stats: ServerStats }
  /** The system refused what it needs: the user's to mend. */
  | { readonly kind: 'refused'; readonly message: string }
  /** Our own mistake. */
  | { readonly kind: 'died'; readonly message: string }

export interface ThreadListener {
  onWarning(line: string): void
  onFeed(order: FeedOrder): void
}

export class PacketThread {
  /** Settles when it serves; never, if it ends before. */
  readonly ready: Promise<void>
  readonly ended: Promise<Ending>
  readonly #worker: Worker
  readonly #setup: WorkerSetup
  readonly #control: Int32Array
  #settle: (reply: Reply) => void = () => {}
  #fail: (error: Error) => void = () => {}
  #hasEnded = false

  /** Starts it. */
  constructor(setup: Omit<WorkerSetup, 'control'>, listener: ThreadListener) {
    const control = new SharedArrayBuffer(4)
    this.#setup = { ...setup, control }
    this.#control = new Int32Array(control)
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: this.#setup })
    this.ready = new Promise(resolve => {
      this.#worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'ready') resolve()
        if (message.kind === 'reply') this.#settle(message.reply)
        if (message.kind === 'warning') listener.onWarning(message.line)
        if (message.kind === 'feed') listener.onFeed(message.order)
      })
    })
    this.ended = this.#watch()
  }

  #watch(): Promise<Ending> {
    let ending: Ending = { kind: 'died', message: 'it ended unexpectedly' }
    this.#worker.on('message', (message: WorkerMessage) => {
      if (message.kind !== 'ended') return
      const { down, stats } = message
      ending = down === '' ? { kind: 'stopped', stats } : { kind: 'down', message: down, stats }
    })
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      const kind = error.syscall === undefined ? 'died' : 'refused'
      ending = { kind, message: error.message }
    })
    return new Promise(resolve => {
      this.#worker.on('exit', () => {
        this.#hasEnded = true
        this.#fail(new Error('the server has ended'))
        resolve(ending)
      })
    })
  }

  /** Sets one of the bits of workerSetup.ts. */
  tell(bit: number): void {
    Atomics.or(this.#control, 0, bit)
    wakeDevice(this.#setup.handle)
  }

  /**
   * One inquiry at a time; the Inspector sees to that. Rejects if the thread ends before it
   * answers.
   */
  ask(inquiry: Inquiry): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#fail = reject
      if (this.#hasEnded) return reject(new Error('the server has ended'))
      this.send({ kind: 'inquiry', inquiry })
    })
  }

  /** Messages are taken in their order, between two batches. */
  send(mail: Mail): void {
    this.#worker.postMessage(mail)
    this.tell(MAIL)
  }

  /** Ends it at once, whatever it does: for tests of what happens then. */
  async kill(): Promise<void> {
    const ended = this.#worker.terminate()
    wakeDevice(this.#setup.handle)
    await ended
  }
}
