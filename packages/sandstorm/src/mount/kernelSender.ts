/**
 * What the kernel mount writes to one socket from the content region: heads as patched copies,
 * bodies from where they lie. An image whose body the socket has still to send is held
 * (content/holds.ts).
 */
import type { Socket } from 'node:net'
import type { Content } from '../content/content.ts'
import { CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE, writeTime } from '../content/date.ts'
import * as image from '../content/image.ts'
import type { HttpMachine } from '../http/machine.ts'
import { PART_HEAD_MAX } from '../http/parts.ts'

export class KernelSender {
  readonly #socket: Socket
  readonly #content: Content
  /** Images whose bodies the socket has still to send, in their order. */
  readonly #sending: number[] = []
  readonly #onSent = (): void => this.#release()

  constructor(socket: Socket, content: Content) {
    this.#socket = socket
    this.#content = content
  }

  /** What the machine has answered, its body in memory or not wanted. */
  answer(machine: HttpMachine, epochSec: number): void {
    const { parts, image: of, headOnly, close } = machine
    if (parts.count > 0) this.#parts(machine, epochSec)
    else this.#whole(of, headOnly, close, epochSec)
  }

  /** An image as the last answer, which says so. */
  last(answer: number, epochSec: number): void {
    this.#whole(answer, false, true, epochSec)
  }

  /** An answer, and its body if that is in memory. */
  #whole(answer: number, headOnly: boolean, close: boolean, epochSec: number): void {
    this.#socket.write(this.#head(answer, close, epochSec))
    const bodyLen = this.#content.images[answer + image.BODY_LEN]
    if (bodyLen > 0 && !headOnly) this.body(answer, 0, bodyLen)
  }

  /** Heads of their own, and slices of a body in memory. */
  #parts({ parts, image: of, headOnly }: HttpMachine, epochSec: number): void {
    for (let i = 0; i < parts.count; i++) {
      this.#socket.write(partHead(parts, i, epochSec))
      const hasBody = parts.end[i] > parts.from[i] && !headOnly
      if (hasBody) this.body(of, parts.from[i], parts.end[i])
    }
  }

  /** The head of what the machine has answered, not sent; of several parts, that of the first. */
  headOf({ parts, image: of, close }: HttpMachine, epochSec: number): Buffer {
    return parts.count > 0 ? partHead(parts, 0, epochSec) : this.#head(of, close, epochSec)
  }

  #head(answer: number, close: boolean, epochSec: number): Buffer {
    const { images, region } = this.#content
    const off = images[answer + image.IMAGE_OFF]
    const head = Buffer.from(region.bytes.subarray(off, off + images[answer + image.HEAD_LEN]))
    writeTime(head, images[answer + image.DATE_OFF], images[answer + image.AGE_SINCE], epochSec)
    head.set(
      close ? CONNECTION_CLOSE : CONNECTION_KEEP_ALIVE,
      images[answer + image.CONNECTION_OFF],
    )
    return head
  }

  /** Bytes [from, end) of an image's body. */
  body(of: number, from: number, end: number): void {
    const { images, region, holds } = this.#content
    const body = images[of + image.IMAGE_OFF] + images[of + image.HEAD_LEN]
    holds.hold(of)
    this.#sending.push(of)
    this.#socket.write(Buffer.from(region.buffer, body + from, end - from), this.#onSent)
  }

  /** The socket is gone: nothing is sent any more. */
  onClose(): void {
    while (this.#sending.length > 0) this.#release()
  }

  #release(): void {
    const of = this.#sending.shift()
    if (of !== undefined) this.#content.holds.release(of)
  }
}

function partHead(parts: HttpMachine['parts'], part: number, epochSec: number): Buffer {
  const head = Buffer.allocUnsafe(PART_HEAD_MAX)
  return head.subarray(0, parts.write(part, head, 0, epochSec))
}
