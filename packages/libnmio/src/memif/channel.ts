/**
 * One peer's control channel: its socket, and the descriptors that came through it or were made for
 * it. Whatever happens, `close` closes them all, once the devices have let go.
 */
import { libc } from '../sys/libc.ts'
import { receiveMessage, sendMessage } from '../sys/unix.ts'
import { openWakeFd } from '../sys/waiter.ts'
import { decode, encode, MESSAGE_LEN, type Message } from './message.ts'

/** Why a peer is dropped: for the log, and for the peer. */
export class Refusal extends Error {
  /** Nobody needs to be told: the peer has gone by itself. */
  readonly isSilent: boolean

  constructor(reason: string, isSilent = false) {
    super(reason)
    this.isSilent = isSilent
  }
}

/** It is we who leave: no fault of the peer's, and nothing to warn of. */
export class Farewell extends Refusal {}

/** A message, and the descriptor that came with it; -1: none. */
export interface Arrival {
  readonly message: Message
  readonly fd: number
}

export class Channel {
  readonly #fd: number
  readonly #owned: number[] = []

  constructor(fd: number) {
    this.#fd = fd
  }

  /** An eventfd that the peer will get. */
  newEventfd(): number {
    const fd = openWakeFd()
    this.#owned.push(fd)
    return fd
  }

  /** Throws Refusal if the peer does not take it. */
  send(message: Message, ...fds: number[]): void {
    if (sendMessage(this.#fd, encode(message), fds)) return
    throw new Refusal('the peer takes no messages', true)
  }

  /** The next message, if there is one. Throws Refusal for what is none, and at the end. */
  receive(): Arrival | undefined {
    const received = receiveMessage(this.#fd, MESSAGE_LEN, 1)
    if (received === 'none') return undefined
    if (received === 'closed') throw new Refusal('the peer has gone', true)
    if (received === 'malformed') throw new Refusal('a message is too long, or has too many files')
    this.#owned.push(...received.fds)
    const message = decode(received.data)
    if (message === undefined) throw new Refusal('a message is none of memif 2.0')
    return { message, fd: received.fds[0] ?? -1 }
  }

  /** Tells the peer why it is left, if it still listens. */
  refuse(reason: string): void {
    sendMessage(this.#fd, encode({ type: 'disconnect', code: 0, reason }), [])
  }

  /** Idempotent. */
  close(): void {
    for (const fd of this.#owned.splice(0)) libc().close(fd)
    if (this.#isClosed) return
    this.#isClosed = true
    libc().close(this.#fd)
  }
  #isClosed = false
}
