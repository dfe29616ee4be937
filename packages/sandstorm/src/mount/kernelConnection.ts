/**
 * One connection of the kernel mount: bytes from a node:net socket go through the HTTP machine, and
 * answers leave from the content region without a copy of the body.
 *
 * Back-pressure runs all the way: while the socket holds unsent answers, no further head is parsed
 * and nothing is read. Closing is RFC 9112 §9.6: the last answer, half a close, then what the
 * client still sends is dropped for a while, so that a reset does not overtake the answer.
 *
 * While an origin is asked (kernelForward.ts), or a file is read for an answer (kernelFeed.ts), a
 * little is read ahead, to learn if the client leaves.
 *
 * Invariant: besides what node:net holds, a connection keeps at most one head, a chunk, and that.
 */
import type { Socket } from 'node:net'
import { DEFAULT_SITE } from '../content/content.ts'
import { BODY_LEN } from '../content/image.ts'
import { forwardRequest } from '../front/forwardRequest.ts'
import type { Fronts } from '../front/fronts.ts'
import type { ChunkDecoder } from '../http/chunkDecoder.ts'
import { CLIENT_LEFT, CLOSES, FROM_STORE, HEAD_ONLY } from '../log/accessLog.ts'
import { clientText } from '../log/client.ts'
import { Deadline } from './deadline.ts'
import type { KernelContext } from './kernelContext.ts'
import { KernelFeed } from './kernelFeed.ts'
import { KernelForward } from './kernelForward.ts'
import { KernelNotes } from './kernelNotes.ts'
import { KernelSender } from './kernelSender.ts'

/**
 * After the last answer: how long, and how many bytes, a client may go on sending. When the bytes
 * are used up nothing more is read; the time still runs out, lest a reset overtake the answer.
 */
const LINGER_MS = 2000
const LINGER_BYTES = 1 << 20
const READ_AHEAD_BYTES = 16 * 1024

export class KernelConnection {
  readonly #socket: Socket
  readonly #sender: KernelSender
  readonly #context: KernelContext
  /** A head that came in part; made when one first does. */
  #head: Buffer | undefined
  #headLen = 0
  readonly #notes: KernelNotes
  /** Requests answered. */
  #asked = 0
  /** Bytes of a request body still to be dropped, or IN_CHUNKS: then who knows where it ends. */
  #skip = 0
  #rest: ChunkDecoder | undefined
  /** What was read while answers wait to be sent. */
  #unread: Buffer | undefined
  /** The request that an origin is asked. */
  #forward: KernelForward | undefined
  /** The rest of an answer that is read from disk. */
  #feed: KernelFeed | undefined
  #isClosing = false
  #hasInputEnded = false
  #lingerBytes = 0
  /** The end of the time for a head, a body or a lingering close. */
  readonly #deadline = new Deadline()

  constructor(socket: Socket, context: KernelContext) {
    this.#socket = socket
    this.#sender = new KernelSender(socket, context.content)
    this.#context = context
    this.#notes = new KernelNotes(socket, context.accessLog, context.clock)
    socket.setTimeout(context.idleTimeoutMs)
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('timeout', () => this.#onIdle())
    socket.on('error', () => context.stats.errors++)
    socket.on('close', () => this.#onClose())
  }

  /** Ends the connection: now if it is idle, else when what was answered is sent. */
  drain(): void {
    if (this.#isClosing) return
    const pending = this.#forward ?? this.#feed
    if (pending !== undefined) pending.close = true
    else if (this.#socket.writableLength > 0) this.#finish()
    else this.#socket.destroySoon()
  }

  /** Ends the connection whatever is under way; an answer that is cut off ends with a reset. */
  destroy(): void {
    const isCut = (this.#forward ?? this.#feed) !== undefined || this.#socket.writableLength > 0
    if (isCut) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }

  /** Resolves when the socket is gone. */
  closed(): Promise<void> {
    return new Promise(resolve => this.#socket.once('close', () => resolve()))
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosing) {
      this.#lingerBytes += chunk.length
      if (this.#lingerBytes > LINGER_BYTES) this.#socket.pause()
      return
    }
    if (this.#unread === undefined) this.#consume(chunk)
    else this.#keep(Buffer.concat([this.#unread, chunk]))
  }

  #onDrain(): void {
    const pending = this.#forward ?? this.#feed
    if (pending === undefined) this.#goOn()
    else pending.drained()
  }

  /** Takes up what was read and had to wait. */
  #goOn(): void {
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
    if (this.#forward !== undefined && this.#forward.body.left > 0) this.#forward.cutBody()
    const isBusy = [this.#unread, this.#forward, this.#feed].some(one => one !== undefined)
    if (!this.#isClosing && !isBusy) this.#finish()
  }

  /** Nothing was read, and nothing of an answer was taken, for the idle time. */
  #onIdle(): void {
    const pending = this.#forward ?? this.#feed
    if (pending !== undefined && !pending.waitsForClient) return
    if (!this.#isClosing) this.#context.stats.idle++
    if (this.#isClosing || this.#socket.writableLength > 0) this.destroy()
    else this.#finish()
  }

  /** Answers all heads in the chunk, in order; corked, so that head and body share a segment. */
  #consume(chunk: Buffer): void {
    this.#socket.cork()
    for (let off = 0; off < chunk.length && !this.#isClosing; ) {
      if (this.#skip > 0) {
        off = this.#drop(chunk, off)
      } else if (this.#forward !== undefined) {
        const taken = this.#forward.take(chunk, off)
        if (taken === 0) this.#keep(chunk.subarray(off))
        if (taken === 0) break
        off += taken
      } else if (this.#feed !== undefined) {
        this.#keep(chunk.subarray(off))
        break
      } else if (this.#socket.writableNeedDrain) {
        this.#unread = chunk.subarray(off)
        this.#deadline.stop()
        this.#socket.pause()
        break
      } else {
        off += this.#headLen > 0 ? this.#takeMore(chunk, off) : this.#take(chunk, off)
      }
    }
    this.#socket.uncork()
  }

  /** Keeps what has to wait, and reads on only while it is known whose it is and there is room. */
  #keep(unread: Buffer): void {
    this.#unread = unread
    const isBody = this.#forward !== undefined && this.#forward.body.left > 0
    if (isBody || unread.length >= READ_AHEAD_BYTES) this.#socket.pause()
  }

  /** Returns the offset behind what was dropped. What is no body ends the connection. */
  #drop(chunk: Buffer, off: number): number {
    const rest = this.#rest
    const end = rest?.skip(chunk, off, chunk.length) ?? Math.min(off + this.#skip, chunk.length)
    this.#skip = rest?.isOver ? 0 : this.#skip - (end - off)
    if (rest !== undefined && rest.refused > 0) this.#finish()
    if (this.#skip > 0) return end
    this.#rest = undefined
    this.#deadline.stop()
    return end
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
    this.#deadline.start(this.#context.headTimeoutMs, () => this.#onSlow())
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
    this.#deadline.stop()
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
    const { machine, headTimeoutMs, stats, fronts } = this.#context
    this.#asked++
    this.#limit()
    if (machine.forward && fronts !== undefined) {
      this.#ask(fronts, bytes, start, end)
      return
    }
    if (machine.isPaged && !machine.headOnly) {
      this.#openFeed(bytes.slice(start, end))
    } else {
      stats.answers++
      if (machine.isHit) stats.storeHits++
      const from = machine.isHit ? FROM_STORE : 0
      const flags = (machine.headOnly ? HEAD_ONLY : 0) | (machine.close ? CLOSES : 0) | from
      this.#notes.add(bytes, start, end, machine.status, machine.bodyBytes, flags)
      this.#sender.answer(machine, this.#epochSec)
    }
    if (machine.close && this.#feed === undefined) {
      this.#finish()
      return
    }
    this.#skip = machine.skip
    if (this.#skip > 0) this.#deadline.start(headTimeoutMs, () => this.#onSlow())
  }

  /** Refuses what the machine has answered if the client is over its rate. */
  #limit(): void {
    const { rate, machine, stats } = this.#context
    const { version, w0, w1 } = this.#notes.client
    if (rate === undefined || rate.take(w0, version === 6 ? w1 : 0, performance.now())) return
    machine.refuse(429)
    stats.limited++
  }

  get #epochSec(): number {
    return Math.floor(this.#context.clock() / 1000)
  }

  /** Begins what the machine has answered to this head: the body of an image, or parts of it. */
  #openFeed(request: Uint8Array): void {
    const { machine, content, pieces, turns, stats } = this.#context
    const { image, close, status, bodyBytes } = machine
    const head = this.#sender.headOf(machine, this.#epochSec)
    this.#feed = new KernelFeed({
      socket: this.#socket,
      sender: this.#sender,
      pieces: pieces(image, machine.slices()),
      image,
      holds: content.holds,
      turns,
      close,
      request,
      onBegin: () => {
        stats.answers++
        this.#notes.add(request, 0, request.length, status, bodyBytes, close ? CLOSES : 0)
        this.#socket.write(head)
      },
      onEnd: () => this.#onFed(),
      onNone: () => {
        this.#feed = undefined
        this.#refuse(request, request.length, 503)
        this.#finish()
      },
    })
  }

  /** All of an answer from disk is written. */
  #onFed(): void {
    const { close } = this.#feed!
    this.#feed = undefined
    if (close) this.#finish()
    else this.#resume(this.#skip)
  }

  /** Has the origin answer the request in bytes[start, end). */
  #ask(fronts: Fronts, bytes: Uint8Array, start: number, end: number): void {
    const { machine, headTimeoutMs } = this.#context
    this.#forward = new KernelForward(this.#socket, fronts.of(machine.site)!, {
      ...forwardRequest(machine, bytes, start, end, clientText(this.#notes.client)),
      headTimeoutMs,
      limits: machine.limits,
      onRoom: () => this.#goOn(),
      onSlow: () => this.#onSlow(),
      onRefused: status => this.#giveUp(status),
      onEnd: () => this.#onForwarded(),
    })
  }

  /** An origin's answer has been written, or there was none. */
  #onForwarded(): void {
    const forward = this.#forward!
    const { status, body, chunks, close, isCut, head } = forward
    this.#forward = undefined
    if (status === 0) {
      this.#refuse(head, head.length, 500)
      this.#finish()
      return
    }
    this.#context.stats.answers++
    this.#noteForwarded(forward, status)
    if (isCut) return
    if (close) this.#finish()
    else this.#resume(body.left, chunks)
  }

  /** Reads the next request, behind what is left of the last one's body. */
  #resume(left: number, chunks?: ChunkDecoder): void {
    this.#rest = left > 0 ? chunks : undefined
    this.#skip = left
    if (left > 0) this.#deadline.start(this.#context.headTimeoutMs, () => this.#onSlow())
    if (!this.#socket.writableNeedDrain) this.#goOn()
    if (this.#hasInputEnded) this.#onEnd()
  }

  /** The socket is gone. */
  #onClose(): void {
    this.#deadline.end()
    this.#sender.onClose()
    const feed = this.#feed
    this.#feed = undefined
    feed?.cancel()
    if (feed?.hasBegun === false)
      this.#notes.add(feed.request, 0, feed.request.length, CLIENT_LEFT, 0, 0)
    const forward = this.#forward
    this.#forward = undefined
    forward?.cancel()
    if (forward !== undefined) this.#noteForwarded(forward, forward.status || CLIENT_LEFT)
  }

  #noteForwarded({ head, sentBytes, close, from }: KernelForward, status: number): void {
    const flags = (close ? CLOSES : 0) | from
    this.#notes.add(head, 0, head.length, status, sentBytes, flags)
  }

  /** A head that does not come in time is answered 408; a body, whose answer is out, is not. */
  #onSlow(): void {
    this.#context.stats.slow++
    this.#giveUp(408)
  }

  /** Ends what is being asked, with a last answer if there may be one. */
  #giveUp(status: number): void {
    const forward = this.#forward
    this.#forward = undefined
    forward?.cancel()
    if (forward !== undefined && forward.status !== 0) {
      this.#isClosing = true
      this.#socket.resetAndDestroy() // in the middle of an answer
      return
    }
    if (forward !== undefined) this.#refuse(forward.head, forward.head.length, status)
    else if (this.#headLen > 0) this.#refuse(this.#head!, this.#headLen, status)
    this.#finish()
  }

  /** The last answer, to the head in bytes[0, end). */
  #refuse(bytes: Uint8Array, end: number, status: number): void {
    const { content, stats } = this.#context
    const of = content.statusImage(DEFAULT_SITE, status)
    stats.answers++
    this.#notes.add(bytes, 0, end, status, content.images[of + BODY_LEN], CLOSES)
    this.#sender.last(of, this.#epochSec)
  }

  /** Half a close behind the last answer; the rest of the client's bytes is dropped. */
  #finish(): void {
    this.#isClosing = true
    this.#deadline.stop()
    this.#head = undefined
    this.#headLen = 0
    this.#unread = undefined
    this.#socket.end(() => {
      this.#deadline.start(LINGER_MS, () => this.#socket.destroy())
    })
    this.#socket.resume()
  }
}
