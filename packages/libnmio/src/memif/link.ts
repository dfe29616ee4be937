/**
 * The control side of a memif device, on the thread that opened it: finds a peer, agrees with it on
 * memory and rings, tells the devices of the queues (port.ts), and takes everything back when the
 * peer goes or breaks the rules. Nothing here waits: `poll` does what can be done now.
 *
 *   idle → greeting: a peer is there → starting: the devices begin → up → stopping → idle
 *
 * Invariant: whatever a peer says or does costs it its connection at most, and us one line in the
 * log.
 */
import { EAGAIN, ECONNREFUSED, ENOENT, errnoName, SysError } from '../sys/errno.ts'
import { acceptFrom, connectTo, type Listener, listenAt } from '../sys/unix.ts'
import { wakeUp } from '../sys/waiter.ts'
import { Channel, Farewell, Refusal } from './channel.ts'
import { Join } from './join.ts'
import { OFF, OFFERED, type Offer, ON, Port, STOPPING, VIOLATED } from './port.ts'
import { Serve } from './serve.ts'
import type { Handshake, LinkSetup } from './setup.ts'

/**
 * A peer that says nothing for so long, while we wait for it, is left; so is a device that does not
 * begin.
 */
const PATIENCE_MS = 2000
/** A client tries again after this; twice as long after each failure, up to the second number. */
const RETRY_MS = 100
const RETRY_MAX_MS = 1000
/** Those who come while we have a peer, and are sent away in one poll. */
const SURPLUS_MAX = 8
/** Messages of a peer's that are looked at in one poll. */
const MESSAGES_MAX = 64

/** How far we are with a peer. */
type Phase = 'idle' | 'greeting' | 'starting' | 'up' | 'stopping'

/** The main thread's half of a memif: the socket, and the peer's coming and going. */
export class MemifLink {
  /** Told of each peer that is dropped, and why; one line. */
  onWarning: (line: string) => void = () => {}

  readonly #setup: LinkSetup
  readonly #listener: Listener | undefined
  readonly #ports: readonly Port[]
  #phase: Phase = 'idle'
  #channel: Channel | undefined
  #handshake: Handshake | undefined
  #deadlineMs = 0
  #retryMs = RETRY_MS
  #nextTryMs = 0
  #isClosed = false

  /** A server listens from now on. Throws SysError. */
  constructor(setup: LinkSetup) {
    this.#setup = setup
    this.#ports = setup.handles.map(({ port }) => new Port(port))
    this.#listener = setup.role === 'server' ? listenAt(setup.socket) : undefined
  }

  /** There is a peer, and all devices exchange frames with it. */
  get isUp(): boolean {
    return this.#phase === 'up'
  }

  /**
   * Does what can be done now. To be called every few milliseconds; `nowMs` runs on, from anywhere.
   */
  poll(nowMs: number): void {
    if (this.#isClosed) return
    try {
      if (this.#phase === 'stopping') this.#finish(nowMs)
      if (this.#phase === 'idle') this.#findPeer(nowMs)
      if (this.#hasPeer) this.#follow(nowMs)
    } catch (error) {
      // What the kernel refuses (too many open files) costs us the peer, too, and not the process.
      if (!(error instanceof Refusal || error instanceof SysError)) throw error
      this.#drop(error, nowMs)
    }
    // While we take leave of one, the next waits.
    if (this.#hasPeer) this.#sendSurplusAway()
  }

  get #hasPeer(): boolean {
    return this.#phase !== 'idle' && this.#phase !== 'stopping'
  }

  /** Leaves the peer, and the socket; once no thread uses the devices any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#channel?.refuse('closed')
    this.#channel?.close()
    this.#listener?.close()
    this.#phase = 'idle'
  }

  #findPeer(nowMs: number): void {
    // Only devices that are there can begin.
    if (this.#ports.some(port => port.memory === 0)) return
    const fd = this.#listener === undefined ? this.#connect(nowMs) : acceptFrom(this.#listener.fd)
    if (fd < 0) return
    const channel = new Channel(fd)
    this.#channel = channel
    this.#enter('greeting', nowMs)
    this.#handshake =
      this.#listener === undefined
        ? new Join(this.#setup, channel)
        : new Serve(this.#setup, channel)
  }

  /** A socket, or -1; a server that is not there yet is nothing to speak of. */
  #connect(nowMs: number): number {
    if (nowMs < this.#nextTryMs) return -1
    const fd = connectTo(this.#setup.socket)
    const errno = Math.max(0, -fd)
    if (errno === 0) {
      this.#lastErrno = 0
      return fd
    }
    this.#delay(nowMs)
    if (errno !== this.#lastErrno && ![ENOENT, ECONNREFUSED, EAGAIN].includes(errno)) {
      this.#warn(`cannot connect (${errnoName(errno)})`)
    }
    this.#lastErrno = errno
    return -1
  }
  #lastErrno = 0

  #delay(nowMs: number): void {
    this.#nextTryMs = nowMs + this.#retryMs
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MAX_MS)
  }

  #enter(phase: Phase, nowMs: number): void {
    this.#phase = phase
    this.#deadlineMs = nowMs + PATIENCE_MS
  }

  /** With a peer: hears what it says, and sees what the devices do. */
  #follow(nowMs: number): void {
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const arrival = this.#channel?.receive()
      if (arrival === undefined) break
      const { message } = arrival
      if (message.type === 'disconnect') {
        throw new Refusal(`the peer disconnects: ${message.reason || 'no reason given'}`, true)
      }
      if (this.#phase !== 'greeting') throw new Refusal(`${message.type} out of turn`)
      const offers = this.#handshake?.step(arrival)
      this.#enter(offers === undefined ? 'greeting' : 'starting', nowMs)
      if (offers !== undefined) this.#offer(offers)
    }
    this.#checkDevices()
    if (this.#phase === 'starting' && this.#ports.every(({ state }) => state === ON)) {
      this.#handshake?.confirm()
      this.#retryMs = RETRY_MS
      this.#enter('up', nowMs)
    }
    if (this.#phase === 'greeting' && nowMs > this.#deadlineMs)
      throw new Refusal('the peer says nothing')
    if (this.#phase === 'starting' && nowMs > this.#deadlineMs)
      throw new Refusal('our device is busy')
  }

  #offer(offers: readonly Offer[]): void {
    for (const [i, port] of this.#ports.entries()) {
      port.offer(offers[i])
      wakeUp(this.#setup.handles[i].wakeFd)
    }
  }

  #checkDevices(): void {
    for (const port of this.#ports) {
      if (port.state === VIOLATED) throw new Refusal(port.violation)
      const isThere = port.memory !== 0 && (port.state !== OFF || this.#phase === 'greeting')
      if (!isThere) throw new Farewell('our device is closed')
    }
  }

  /** The peer is left, as soon as the devices have let go of it. */
  #drop(error: Refusal | SysError, nowMs: number): void {
    if (!(error instanceof Farewell)) this.#warn(error.message)
    if (!(error instanceof Refusal && error.isSilent)) this.#channel?.refuse(error.message)
    this.#delay(nowMs)
    this.#enter('stopping', nowMs)
    for (const [i, port] of this.#ports.entries()) {
      if (port.change(ON, STOPPING) || port.change(OFFERED, STOPPING)) {
        wakeUp(this.#setup.handles[i].wakeFd)
      }
    }
    this.#finish(nowMs)
  }

  #finish(nowMs: number): void {
    if (!this.#ports.every(port => port.isFree)) return
    for (const port of this.#ports) port.state = OFF
    this.#channel?.close()
    this.#channel = undefined
    this.#handshake = undefined
    this.#enter('idle', nowMs)
  }

  /** A device has one peer at a time. */
  #sendSurplusAway(): void {
    for (let i = 0; this.#listener !== undefined && i < SURPLUS_MAX; i++) {
      const fd = acceptFrom(this.#listener.fd)
      if (fd < 0) return
      const channel = new Channel(fd)
      channel.refuse('already connected')
      channel.close()
    }
  }

  /** What a peer says is printed, and cannot draw on a terminal. */
  #warn(line: string): void {
    const printable = line.replace(/[^ -~]/g, '?')
    this.onWarning(`memif:${this.#setup.socket}: ${printable}`)
  }
}

/** How often a link is looked after. */
const POLL_MS = 10

/** Polls a link from a timer, which keeps no process alive; returns what ends that. */
export function startMemifTimer(link: MemifLink): () => void {
  const timer = setInterval(() => link.poll(performance.now()), POLL_MS)
  timer.unref()
  return () => clearInterval(timer)
}
