/** A thread that generates load (loadWorker.ts), as the main thread sees it. */
import { Worker } from 'node:worker_threads'
import { wakeDevice } from '@sandstorm/libnmio'
import { StartError } from '../startError.ts'
import {
  ANSWERS,
  ERRORS,
  GO,
  PROGRESS_WORDS,
  STOP,
  type ThreadMessage,
  type ThreadSetup,
  WAIT,
} from './threadSetup.ts'

export type ThreadEnding = Extract<ThreadMessage, { readonly kind: 'ended' }>

export class LoadThread {
  /** Settles when it could begin; rejects as `done` does. */
  readonly ready: Promise<unknown>
  /** What it has counted; rejects if it could not begin, or died. */
  readonly done: Promise<ThreadEnding>
  /** Settles when it is gone; on our own stack it waits for `stop`. */
  readonly gone: Promise<void>
  readonly #worker: Worker
  readonly #setup: ThreadSetup
  readonly #control: Int32Array
  readonly #progress: Float64Array

  /** Starts it. */
  constructor(setup: Omit<ThreadSetup, 'control' | 'progress'>) {
    const control = new SharedArrayBuffer(4)
    const progress = new SharedArrayBuffer(8 * PROGRESS_WORDS)
    this.#setup = { ...setup, control, progress }
    this.#control = new Int32Array(control)
    this.#progress = new Float64Array(progress)
    this.#worker = new Worker(new URL('./loadWorker.js', import.meta.url), {
      workerData: this.#setup,
    })
    const isReady = new Promise<void>(resolve => {
      this.#worker.on('message', (message: ThreadMessage) => {
        if (message.kind === 'ready') resolve()
      })
    })
    this.done = this.#watch()
    this.gone = new Promise(resolve => this.#worker.on('exit', () => resolve()))
    this.ready = Promise.race([isReady, this.done])
    // Who waits for one of them hears of a failure by that.
    this.ready.catch(() => {})
    this.done.catch(() => {})
  }

  get answers(): number {
    return this.#progress[ANSWERS]
  }

  get errors(): number {
    return this.#progress[ERRORS]
  }

  begin(): void {
    Atomics.compareExchange(this.#control, 0, WAIT, GO)
    this.#wake()
  }

  /** Ends it soon, whatever it does. */
  stop(): void {
    Atomics.store(this.#control, 0, STOP)
    this.#wake()
  }

  #wake(): void {
    Atomics.notify(this.#control, 0)
    if (this.#setup.own !== undefined) wakeDevice(this.#setup.own.handle)
  }

  #watch(): Promise<ThreadEnding> {
    return new Promise((resolve, reject) => {
      this.#worker.on('message', (message: ThreadMessage) => {
        if (message.kind === 'ended') resolve(message)
      })
      this.#worker.on('error', (error: NodeJS.ErrnoException) => {
        // What the system refuses is the user's to mend.
        reject(error.syscall === undefined ? error : new StartError(error.message))
      })
      this.#worker.on('exit', () => reject(new Error('a thread ended unexpectedly')))
    })
  }
}
