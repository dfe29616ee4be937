/**
 * One connection of the kernel mount: bytes from a node:net socket go through the HTTP machine, and
 * answers leave from the content region without a copy of the body.
 *
 * Back-pressure runs all the way: while the socket holds unsent answers, no further head is parsed
 * and nothing is read. Closing is RFC 9112 §9.6: the last answer, half a close, then what the client
 * still sends is dropped for a while, so that a reset does not overtake the answer.
 *
 * Invariant: besides what node:net holds, a connection keeps at most one head and one chunk.
 */
import type { Socket } from 'node:net'
import { type Content, DEFAULT_SITE } from '../content/content.ts'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeDate } from '../content/date.ts'
import * as image from '../content/image.ts'
import type { HttpMachine } from '../http/machine.ts'
import { PART_HEAD_MAX } from '../http/parts.ts'
import { type AccessLog, CLOSES, HEAD_ONLY } from '../log/accessLog.ts'
import { type ClientAddress, clientAddress } from '../log/client.ts'

/** After the last answer: how long, and how many bytes, a client may go on sending. */
const LINGER_MS = 2000
const LINGER_BYTES = 1 << 20

/** What the connections of a mount share. */
export interface KernelContext {
  readonly content: Content
  readonly machine: HttpMachine
  readonly stats: KernelStats
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly requestsPerConnection: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
  readonly accessLog: AccessLog | undefined
}

/** Counters of a mount; read from outside, never reset. */
export interface KernelStats {
  accepted: number
  /** Connections over the limit, or that could not be accepted. */
  refused: number
  /** Connections that are open now. */
  open: number
  /** Answers, of any status. */
  answers: number
  /** Heads and bodies that did not come in time. */
  slow: number
  /** Connections that were closed because nothing moved, in either direction. */
  idle: number
  /** Connections that ended with a socket error. */
  errors: number
}

export class KernelConnection {
  readonly #socket: Socket
  readonly #context: KernelContext
  /** A head that came in part; made when one first does. */
  #head: Buffer | undefined
  #headLen = 0
  readonly #client: ClientAddress
  readonly #clientPort: number
  /** Requests answered. */
  #asked = 0
  /** Bytes of a request body still to be dropped. */
  #skip = 0
  /** What was read while answers wait to be sent. */
  #unread: Buffer | undefined
  #isClosing = false
  #hasInputEnded = false
  #lingerBytes = 0
  /** The end of the time for a head, a body or a lingering close. */
  #deadline: NodeJS.Timeout | undefined

  constructor(socket: Socket, context: KernelContext) {
    this.#socket = socket
    this.#context = context
    this.#client = clientAddress(socket.remoteAddress)
    this.#clientPort = socket.remotePort ?? 0
    socket.setTimeout(context.idleTimeoutMs)
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('timeout', () => this.#onIdle())
    socket.on('error', () => context.stats.errors++)
    socket.on('close', () => this.#stopDeadline())
  }

  /** Ends the connection: now if it is idle, else when what was answered is sent. */
  drain(): void {
    if (this.#isClosing) return
    if (this.#socket.writableLength > 0) this.#finish()
    else this.#socket.destroySoon()
  }

  /** Ends the connection whatever is under way. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Resolves when the socket is gone. */
  closed(): Promise<void> {
    return new Promise(resolve => this.#socket.once('close', () => resolve()))
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosing) {
      this.#lingerBytes += chunk.length
      if (this.#lingerBytes > LINGER_BYTES) this.#socket.destroy()
      return
    }
    this.#consume(chunk)
  }

  #onDrain(): void {
    const chunk = this.#unread
    if (chunk === undefined || this.#isClosing) return
    this.#unread = undefined
    this.#socket.resume()
    this.#consume(chunk)
    if (this.#hasInputEnded) this.#onEnd()
  }

  /** The client sends no more: close when all that it asked for has been answered. */
  #onEnd(): void {
    this.#hasInputEnded = true
    if (!this.#isClosing && this.#unread === undefined) this.#finish()
  }

  /** Nothing was read, and nothing of an answer was taken, for the idle time. */
  #onIdle(): void {
    if (!this.#isClosing) this.#context.stats.idle++
    if (this.#isClosing || this.#socket.writableLength > 0) this.#socket.destroy()
    else this.#finish()
  }

  /** Answers all heads in the chunk, in order; corked, so that head and body share a segment. */
  #consume(chunk: Buffer): void {
    this.#socket.cork()
    for (let off = 0; off < chunk.length && !this.#isClosing; ) {
      if (this.#skip > 0) {
        off += this.#drop(chunk.length - off)
      } else if (this.#socket.writableNeedDrain) {
        this.#unread = chunk.subarray(off)
        this.#stopDeadline()
        this.#socket.pause()
        break
      } else {
        off += this.#headLen > 0 ? this.#takeMore(chunk, off) : this.#take(chunk, off)
      }
    }
    this.#socket.uncork()
  }

  #drop(available: number): number {
    const dropped = Math.min(this.#skip, available)
    this.#skip -= dropped
    if (this.#skip === 0) this.#stopDeadline()
    return dropped
  }

  /** Takes a head from the chunk, or keeps its beginning; returns bytes used. */
  #take(chunk: Buffer, off: number): number {
    const taken = this.#next(chunk, off, chunk.length, 0)
    if (taken > 0) {
      this.#answer(chunk, off, off + taken)
      return taken
    }
    // Shorter than headBytes, or the machine would have refused it.
    this.#head ??= Buffer.allocUnsafe(this.#context.machine.limits.headBytes)
    this.#headLen = chunk.copy(this.#head, 0, off)
    this.#startDeadline(this.#context.headTimeoutMs, () => this.#onSlow())
    return this.#headLen
  }

  /** Adds to the head that came in part; returns how many bytes of the chunk were used. */
  #takeMore(chunk: Buffer, off: number): number {
    const head = this.#head!
    const kept = this.#headLen
    const copied = chunk.copy(head, kept, off)
    const taken = this.#next(head, 0, kept + copied, kept)
    if (taken === 0) {
      this.#headLen = kept + copied
      return copied
    }
    this.#headLen = 0
    this.#stopDeadline()
    this.#answer(head, 0, taken)
    return taken - kept
  }

  #next(bytes: Uint8Array, start: number, end: number, scanned: number): number {
    const { machine, clock, requestsPerConnection } = this.#context
    machine.isLast = this.#asked + 1 === requestsPerConnection
    machine.epochSec = Math.floor(clock() / 1000)
    return machine.next(bytes, start, end, scanned)
  }

  /** Answers the request in bytes[start, end). */
  #answer(bytes: Uint8Array, start: number, end: number): void {
    const { machine, headTimeoutMs, stats } = this.#context
    stats.answers++
    this.#asked++
    this.#note(
      bytes,
      start,
      end,
      machine.status,
      machine.bodyBytes,
      machine.headOnly,
      machine.close,
    )
    if (machine.parts.count > 0) this.#writeParts()
    else this.#write(machine.image, machine.headOnly, machine.close)
    if (machine.close) {
      this.#finish()
      return
    }
    this.#skip = machine.skip
    if (this.#skip > 0) this.#startDeadline(headTimeoutMs, () => this.#onSlow())
  }

  /** Writes an answer: a patched copy of the head, and the body where it lies. */
  #write(answer: number, headOnly: boolean, close: boolean): void {
    const { content, clock } = this.#context
    const { images, region } = content
    const off = images[answer + image.IMAGE_OFF]
    const headLen = images[answer + image.HEAD_LEN]
    const bodyLen = images[answer + image.BODY_LEN]
    const head = Buffer.from(region.bytes.subarray(off, off + headLen))
    writeDate(head, images[answer + image.DATE_OFF], Math.floor(clock() / 1000))
    head.set(
      close ? CONNECTION_CLOSE : CONNECTION_KEEP_ALIVE,
      images[answer + image.CONNECTION_OFF],
    )
    this.#socket.write(head)
    if (bodyLen > 0 && !headOnly) {
      this.#socket.write(Buffer.from(region.buffer, off + headLen, bodyLen))
    }
  }

  /** Writes an answer that is made of parts: heads of its own, and the body where it lies. */
  #writeParts(): void {
    const { content, clock, machine } = this.#context
    const { parts, image: of, headOnly } = machine
    const body = content.images[of + image.IMAGE_OFF] + content.images[of + image.HEAD_LEN]
    for (let i = 0; i < parts.count; i++) {
      const head = Buffer.allocUnsafe(PART_HEAD_MAX)
      const len = parts.write(i, head, 0, Math.floor(clock() / 1000))
      this.#socket.write(head.subarray(0, len))
      const bodyLen = parts.end[i] - parts.from[i]
      if (bodyLen === 0 || headOnly) continue
      this.#socket.write(Buffer.from(content.region.buffer, body + parts.from[i], bodyLen))
    }
  }

  #note(
    bytes: Uint8Array,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    headOnly: boolean,
    close: boolean,
  ): void {
    const { accessLog, clock } = this.#context
    if (accessLog === undefined) return
    const { version, w0, w1, w2, w3 } = this.#client
    const flags = (headOnly ? HEAD_ONLY : 0) | (close ? CLOSES : 0)
    accessLog.timeMs = clock()
    accessLog.request(
      version,
      w0,
      w1,
      w2,
      w3,
      this.#clientPort,
      bytes,
      start,
      end,
      status,
      bodyBytes,
      flags,
    )
  }

  /** A head that does not come in time is answered 408; a body, whose answer is out, is not. */
  #onSlow(): void {
    this.#context.stats.slow++
    if (this.#headLen > 0) {
      const { content, stats } = this.#context
      const of = content.statusImage(DEFAULT_SITE, 408)
      stats.answers++
      this.#note(
        this.#head!,
        0,
        this.#headLen,
        408,
        content.images[of + image.BODY_LEN],
        false,
        true,
      )
      this.#write(of, false, true)
    }
    this.#finish()
  }

  /** Half a close behind the last answer; the rest of the client's bytes is dropped. */
  #finish(): void {
    this.#isClosing = true
    this.#stopDeadline()
    this.#head = undefined
    this.#headLen = 0
    this.#unread = undefined
    this.#socket.end(() => {
      this.#startDeadline(LINGER_MS, () => this.#socket.destroy())
    })
    this.#socket.resume()
  }

  #startDeadline(ms: number, onOver: () => void): void {
    if (this.#socket.destroyed) return
    this.#stopDeadline()
    this.#deadline = setTimeout(onOver, ms)
  }

  #stopDeadline(): void {
    clearTimeout(this.#deadline)
    this.#deadline = undefined
  }
}
