/** Takes a stream of answers apart, strictly: what is left over or missing is an error. */
import assert from 'node:assert/strict'

export interface Answer {
  readonly status: number
  readonly head: string
  /** By name in lower case. */
  readonly fields: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

/** The answers to requests with these methods, in order; all of them, and nothing behind. */
export function parseAnswers(stream: Uint8Array, methods: readonly string[]): Answer[] {
  let at = 0
  const answers = methods.map(method => {
    const text = Buffer.from(stream.subarray(at, at + 8192)).toString('latin1')
    const headLen = text.indexOf('\r\n\r\n') + 4
    if (headLen < 4) throw new Error(`no head at byte ${at}: ${JSON.stringify(text)}`)
    const head = text.slice(0, headLen)
    const [first, ...lines] = head.slice(0, -4).split('\r\n')
    const fields = new Map(
      lines.map(line => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const match = /^HTTP\/1\.1 (\d{3}) /.exec(first)
    if (match === null) throw new Error(`not a status line: ${first}`)
    const status = Number(match[1])
    const hasBody = method !== 'HEAD' && status !== 304 && status !== 204
    const bodyLen = hasBody ? Number(fields.get('content-length')) : 0
    const start = at + headLen
    at = start + bodyLen
    if (!(at <= stream.length)) throw new Error(`the body ends at ${stream.length}, not at ${at}`)
    return { status, head, fields, body: stream.slice(start, at) }
  })
  if (at !== stream.length) throw new Error(`${stream.length - at} bytes behind the last answer`)
  return answers
}

/** The parts of a multipart/byteranges answer (RFC 9110 §14.6), strictly. */
export function partsOf(answer: Answer): { range: string; type: string; bytes: Buffer }[] {
  const type = answer.fields.get('content-type')!
  const boundary = /^multipart\/byteranges; boundary=([0-9a-zA-Z-]{1,70})$/.exec(type)![1]
  const all = Buffer.from(answer.body)
  const pieces = all.toString('latin1').split(`\r\n--${boundary}`)
  assert.equal(pieces[0], '')
  assert.equal(pieces.at(-1), '--\r\n')
  return pieces.slice(1, -1).map(piece => {
    const match = /^\r\nContent-Type: (.*)\r\nContent-Range: bytes (.*)\r\n\r\n/.exec(piece)!
    return {
      type: match[1],
      range: match[2],
      bytes: Buffer.from(piece.slice(match[0].length), 'latin1'),
    }
  })
}
