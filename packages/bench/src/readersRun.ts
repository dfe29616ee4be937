/**
 * The child process of readers.ts: so many connections, each of which asks for one file, so large
 * that it does not end, and reads it at its rate. Says `ready` when all have begun, and ends with an
 * error if one is closed.
 */
import { connect, type Socket } from 'node:net'

interface Job {
  readonly url: string
  readonly readers: number
  readonly bytesPerSecond: number
}

const TICK_MS = 50
const { url, readers, bytesPerSecond } = JSON.parse(process.argv[2]) as Job
const { hostname, port, pathname } = new URL(url)
const tickBytes = (bytesPerSecond * TICK_MS) / 1000
/** What a read may bring at once: never more than a reader's share of a tick. */
const buffer = Buffer.alloc(tickBytes)
let begun = 0

class Reader {
  readonly #socket: Socket
  #bytes = 0
  /** Of this tick. */
  #left = tickBytes

  constructor() {
    const onread = { buffer, callback: (count: number) => this.#onBytes(count) }
    const to = { host: hostname, port: Number(port || 80), onread }
    this.#socket = connect(to, () => {
      this.#socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
    })
    this.#socket.on('error', fail).on('close', () => fail(new Error(`closed at ${this.#bytes}`)))
  }

  tick(): void {
    this.#left = tickBytes
    this.#socket.resume()
  }

  /** False: no more in this tick. */
  #onBytes(count: number): boolean {
    if (this.#bytes === 0) this.#begin(buffer.toString('latin1', 0, 12))
    this.#bytes += count
    this.#left -= count
    return this.#left > 0
  }

  #begin(status: string): void {
    if (status !== 'HTTP/1.1 200') fail(new Error(status))
    if (++begun === readers) process.stdout.write('ready\n')
  }
}

function fail(error: Error): void {
  process.stderr.write(`readers: ${error.message}\n`)
  process.exit(1)
}

const all = Array.from({ length: readers }, () => new Reader())
setInterval(() => {
  for (const reader of all) reader.tick()
}, TICK_MS)
