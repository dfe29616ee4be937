/**
 * A raw TCP client for tests: sends exactly the bytes it is told, and reads answers by their
 * framing.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  head: string
  body: Buffer
}

export class RawClient {
  readonly socket: Socket
  hasEnded = false

  /** What came and was not taken by `answer`, in order; joined when it is looked at. */
  #chunks: Buffer[] = []
  #length = 0
  #wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', chunk => {
      this.#chunks.push(chunk)
      this.#length += chunk.length
      this.#wake()
    })
    socket.on('end', () => {
      this.hasEnded = true
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#wake())
  }

  static async to(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** All that came and was not taken by `answer`. */
  get received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] as Buffer
  }

  set received(rest: Buffer) {
    this.#chunks = [rest]
    this.#length = rest.length
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** The next answer; its body is as long as Content-Length says, unless it is one to HEAD. */
  async answer(isHead = false): Promise<RawAnswer> {
    await this.#until(() => this.received.includes('\r\n\r\n'))
    const end = this.received.indexOf('\r\n\r\n') + 4
    const head = this.received.toString('latin1', 0, end)
    const length = isHead ? 0 : Number(/\r\nContent-Length: (\d+)/.exec(head)?.[1] ?? 0)
    await this.#until(() => this.#length >= end + length)
    const body = this.received.subarray(end, end + length)
    this.received = this.received.subarray(end + length)
    return { status: Number(head.slice(9, 12)), head, body }
  }

  /** The next answer's body, whether it has a length or is in chunks. */
  async text(): Promise<string> {
    await this.#until(() => this.received.includes('\r\n\r\n'))
    const headEnd = this.received.indexOf('\r\n\r\n')
    const isChunked = /\r\nTransfer-Encoding: chunked\r\n/.test(
      this.received.toString('latin1', 0, headEnd + 2),
    )
    if (!isChunked) return (await this.answer()).body.toString('latin1')
    await this.answer(true)
    return await this.#dechunked()
  }

  async #dechunked(): Promise<string> {
    let body = ''
    for (;;) {
      await this.#until(() => this.received.includes('\r\n'))
      const size = Number.parseInt(this.received.toString('latin1', 0, 16), 16)
      const from = this.received.indexOf('\r\n') + 2
      await this.#until(() => this.#length >= from + size + 2)
      body += this.received.toString('latin1', from, from + size)
      this.received = this.received.subarray(from + size + 2)
      if (size === 0) return body
    }
  }

  /** Waits for the server's end of the connection; returns what came before it. */
  async ended(): Promise<Buffer> {
    await this.#until(() => this.hasEnded)
    return this.received
  }

  close(): void {
    this.socket.destroy()
  }

  async #until(isDone: () => boolean): Promise<void> {
    while (!isDone()) {
      if (this.hasEnded || this.socket.destroyed) {
        throw new Error(
          `the connection ended after ${JSON.stringify(this.received.toString('latin1'))}`,
        )
      }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
