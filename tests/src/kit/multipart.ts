/**
 * Reads a multipart/byteranges body (RFC 9110 §14.6, RFC 2046 §5.1.1), strictly: what does not
 * belong there fails the test.
 */
import assert from 'node:assert/strict'

export interface Part {
  /** By name in lower case. */
  readonly fields: ReadonlyMap<string, string>
  readonly bytes: Buffer
}

/** The parts of a body, whose `boundary` is from its Content-Type. */
export function parseMultipart(body: Buffer, boundary: string): Part[] {
  const delimiter = `\r\n--${boundary}`
  // The first delimiter may do without its line end.
  const all = Buffer.concat([Buffer.from(body.subarray(0, 2).equals(CRLF) ? '' : '\r\n'), body])
  const parts: Part[] = []
  assert.equal(all.indexOf(delimiter), 0, 'nothing before the first part')
  for (let at = delimiter.length; ; ) {
    const end = all.indexOf(delimiter, at)
    if (end < 0) {
      assert.match(all.toString('latin1', at), /^--(\r\n)?$/, 'nothing behind the last part')
      return parts
    }
    parts.push(readPart(all.subarray(at, end)))
    at = end + delimiter.length
  }
}

const CRLF = Buffer.from('\r\n')

/** A part from the line end of its delimiter on. */
function readPart(part: Buffer): Part {
  const headEnd = part.indexOf('\r\n\r\n')
  assert.ok(part.subarray(0, 2).equals(CRLF) && headEnd > 0, 'a part has a head')
  const lines = part.toString('latin1', 2, headEnd).split('\r\n')
  const fields = lines.map(line => {
    const [, name, value] = /^([\w-]+): *(.*)$/.exec(line) ?? []
    assert.ok(name !== undefined, line)
    return [name.toLowerCase(), value] as const
  })
  return { fields: new Map(fields), bytes: part.subarray(headEnd + 4) }
}
