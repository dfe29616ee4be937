/**
 * One connection to any server: bytes out, answers in, read as leniently as a browser would, since
 * the question is what the server did and not whether it was tidy.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Reply {
  readonly status: number
  readonly version: string
  /** By name in lower case; of a repeated one the last. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface Exchange {
  readonly replies: readonly Reply[]
  /** The server ended the connection. */
  readonly isClosed: boolean
  /** … and a reset threw away what was to be read. */
  readonly isReset: boolean
  readonly raw: Buffer
}

/** Bytes to send; what a pause comes after, so that pieces arrive one by one. */
export type Sent = string | Buffer | readonly (string | Buffer)[]

const SILENCE_MS = 700
const PAUSE_MS = 15

/**
 * Sends `sent`, and reads until the server ends the connection or says nothing for a while.
 * `methods`: those of the requests, so that a HEAD's body is not waited for.
 */
export async function exchange(
  host: string,
  port: number,
  sent: Sent,
  methods: readonly string[],
): Promise<Exchange> {
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
  const chunks: Buffer[] = []
  let isClosed = false
  let isReset = false
  let heardMs = Date.now()
  socket.on('data', chunk => {
    chunks.push(chunk)
    heardMs = Date.now()
  })
  socket.on('end', () => {
    isClosed = true
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    isReset = error.code === 'ECONNRESET' || error.code === 'EPIPE'
  })
  socket.on('close', () => {
    isClosed = true
  })
  for (const piece of typeof sent === 'string' || Buffer.isBuffer(sent) ? [sent] : sent) {
    if (isClosed) break
    socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)
    heardMs = Date.now()
    if (Array.isArray(sent)) await sleep(PAUSE_MS)
  }
  while (!isClosed && Date.now() - heardMs < SILENCE_MS) await sleep(5)
  socket.destroy()
  const raw = Buffer.concat(chunks)
  return { replies: parseReplies(raw, methods), isClosed, isReset, raw }
}

function parseReplies(raw: Buffer, methods: readonly string[]): Reply[] {
  const replies: Reply[] = []
  let at = 0
  let asked = 0
  while (at < raw.length) {
    const headEnd = raw.indexOf('\r\n\r\n', at)
    const head = /^HTTP\/(\d\.\d) (\d{3})/.exec(raw.toString('latin1', at, at + 12))
    if (headEnd < 0 || head === null) break
    const lines = raw.toString('latin1', at, headEnd).split('\r\n').slice(1)
    const fields = new Map(
      lines.map(line => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    )
    const status = Number(head[2])
    at = headEnd + 4
    const hasBody = methods[asked] !== 'HEAD' && status >= 200 && status !== 204 && status !== 304
    const [body, next] = hasBody ? readBody(raw, at, fields) : [Buffer.alloc(0), at]
    at = next
    replies.push({ status, version: head[1], fields, body })
    if (status >= 200) asked++
  }
  return replies
}

function readBody(raw: Buffer, off: number, fields: Map<string, string>): [Buffer, number] {
  if (fields.get('transfer-encoding') === 'chunked') return readChunks(raw, off)
  const length = fields.get('content-length')
  const end = length === undefined ? raw.length : off + Number(length)
  return [raw.subarray(off, end), end]
}

function readChunks(raw: Buffer, off: number): [Buffer, number] {
  const pieces: Buffer[] = []
  let at = off
  for (;;) {
    const lineEnd = raw.indexOf('\r\n', at)
    const size = lineEnd < 0 ? 0 : Number.parseInt(raw.toString('latin1', at, lineEnd), 16)
    if (lineEnd < 0) return [Buffer.concat(pieces), raw.length]
    pieces.push(raw.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
    if (!(size > 0)) return [Buffer.concat(pieces), at]
  }
}
