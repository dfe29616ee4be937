/**
 * The clients that a flood must not hurt: visitors, one after the other, and downloads that were
 * under way before. Both look at every byte that they get; times are of the virtual clock.
 */
import type { Region } from '@sandstorm/libnmio'
import { objectByte, requestFor } from '../../src/objects.ts'
import type { Crowd } from '../million/crowd.ts'
import type { Kind } from '../million/kinds.ts'

/** The objects that are asked for. */
export const OBJECTS: Readonly<Record<string, number>> = { small: 22_528, big: 1 << 20 }

/** A download takes so much at once, at most, and not more often than that. */
const WINDOW = 65535
const READ_MS = 20

const VISIT = requestFor('small', 'close')
const DOWNLOAD = requestFor('big', 'keep-alive')

/** What a client gets: an object of objects.ts behind a head. */
export interface Answer {
  readonly region: Region
  /** Head and body. */
  readonly bytes: number
  readonly headLen: number
}

/** Are the `len` bytes at `off` those of the answer from `at` on? The head is not looked into. */
function isPart({ region, headLen }: Answer, off: number, len: number, at: number): boolean {
  const { bytes } = region
  for (let n = at < headLen ? headLen - at : 0; n < len; n++) {
    if (bytes[off + n] !== objectByte(at + n - headLen)) return false
  }
  return true
}

/** A handshake, a request, an answer, and the server's FIN. One visitor at a time. */
export class Visitor implements Kind {
  readonly name = 'visitor'
  visits = 0
  completed = 0
  /** Answers with a byte that is not theirs, or of another length. */
  wrong = 0
  slowestConnectMs = 0
  slowestMs = 0
  readonly #answer: Answer
  #beganMs = 0

  constructor(answer: Answer) {
    this.#answer = answer
  }

  prepare(crowd: Crowd): void {
    this.visits++
    this.#beganMs = crowd.nowMs
  }

  onOpen(crowd: Crowd, i: number): void {
    this.slowestConnectMs = Math.max(this.slowestConnectMs, crowd.nowMs - this.#beganMs)
    crowd.say(i, VISIT)
  }

  takes(crowd: Crowd, i: number, bytes: number): boolean {
    if (!isPart(this.#answer, crowd.payloadOff, bytes, crowd.got[i])) this.wrong++
    return true
  }

  onData(crowd: Crowd, i: number): void {
    crowd.sendAck(i)
  }

  onFin(crowd: Crowd, i: number): void {
    if (crowd.got[i] !== this.#answer.bytes) this.wrong++
    this.completed++
    this.slowestMs = Math.max(this.slowestMs, crowd.nowMs - this.#beganMs)
    crowd.takeFin(i)
    crowd.sendFin(i)
    crowd.end(i)
  }

  onReset(): void {
    this.wrong++
  }
}

/**
 * One connection, and the big object over and over, a window at a time, until it is told to stop.
 */
export class Downloader implements Kind {
  readonly name = 'download'
  completed = 0
  wrong = 0
  isStopping = false
  readonly #answer: Answer

  constructor(answer: Answer) {
    this.#answer = answer
  }

  prepare(crowd: Crowd, i: number): void {
    crowd.window[i] = WINDOW
  }

  onOpen(crowd: Crowd, i: number): void {
    crowd.say(i, DOWNLOAD)
    crowd.wait(i, READ_MS)
  }

  takes(crowd: Crowd, i: number, bytes: number): boolean {
    if (!isPart(this.#answer, crowd.payloadOff, bytes, crowd.got[i])) this.wrong++
    return true
  }

  onData(crowd: Crowd, i: number): void {
    if (crowd.got[i] < this.#answer.bytes) return
    if (crowd.got[i] > this.#answer.bytes) this.wrong++
    this.completed++
    crowd.got[i] = 0
    if (this.isStopping) crowd.sendFin(i)
    else crowd.say(i, DOWNLOAD)
  }

  onFin(crowd: Crowd, i: number): void {
    crowd.takeFin(i)
    crowd.sendAck(i)
    crowd.end(i)
  }

  onTimer(crowd: Crowd, i: number): void {
    crowd.sendAck(i)
    crowd.wait(i, READ_MS)
  }

  onReset(): void {
    this.wrong++
  }
}
