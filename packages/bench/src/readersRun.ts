/**
 * The child process of readers.ts: so many connections, each of which asks for one file, so large
 * that it does not end, and reads it at its rate. Says `ready` when all have begun, at SIGTERM how
 * many bytes a second came from then on, and ends with an error if a connection is closed.
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
/** Since all have begun. */
let bytes = 0
let startMs = 0

class Reader {
  readonly #socket: Socket
  #hasBegun = false
  /** Of this tick; a read that brings more than that is paid by the next. */
  #left = tickBytes

  constructor() {
    const onread = { buffer, callback: (count: number) => this.#onBytes(count) }
    const to = { host: hostname, port: Number(port || 80), onread }
    this.#socket = connect(to, () => {
      this.#socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
    })
    this.#socket.on('error', fail).on('close', () => fail(new Error('a connection was closed')))
  }

  tick(): void {
    this.#left = Math.min(this.#left, 0) + tickBytes
    if (this.#left > 0) this.#socket.resume()
  }

  /** False: no more in this tick. */
  #onBytes(count: number): boolean {
    if (!this.#hasBegun) this.#begin(buffer.toString('latin1', 0, 12))
    bytes += count
    this.#left -= count
    return this.#left > 0
  }

  #begin(status: string): void {
    if (status !== 'HTTP/1.1 200') fail(new Error(status))
    this.#hasBegun = true
    if (++begun < readers) return
    bytes = 0
    startMs = performance.now()
    process.stdout.write('ready\n')
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
process.on('SIGTERM', () => {
  const rate = (1000 * bytes) / (performance.now() - startMs)
  process.stdout.write(`${rate}\n`, () => process.exit(0))
})
