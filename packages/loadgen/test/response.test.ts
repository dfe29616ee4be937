/**
 * The response reader: each response cut at every place, random ones against Node's own parser, and
 * bytes that are no response.
 */
import assert from 'node:assert/strict'
import { type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import { describe, it, test } from 'node:test'
import fc from 'fast-check'
import { HEAD_MAX, Responses } from '../src/response.ts'

interface Read {
  readonly taken: number
  readonly isDone: boolean
  readonly isBad: boolean
  readonly status: number
  readonly keeps: boolean
  readonly body: number
  readonly hash: number
}

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** Reads pieces on a connection between two others, and the connection's end if `ends`. */
function readPieces(pieces: readonly Uint8Array[], ends = false): Read {
  const responses = new Responses(3)
  for (const i of [0, 1, 2]) responses.begin(i, true)
  let taken = 0
  for (const piece of pieces) {
    // Somewhere in a larger array, as in a region.
    const around = new Uint8Array(piece.length + 8).fill(0x41)
    around.set(piece, 4)
    const n = responses.read(1, around, 4, piece.length)
    assert.ok(n >= 0 && n <= piece.length, 'what is taken was there')
    taken += n
    if (n < piece.length) break
  }
  if (ends) responses.end(1)
  assert.ok(!responses.isDone(0) && !responses.isDone(2) && responses.status(2) === 0)
  return {
    taken,
    isDone: responses.isDone(1),
    isBad: responses.isBad(1),
    status: responses.status(1),
    keeps: responses.keeps(1),
    body: responses.bodyBytes(1),
    hash: responses.hash(1),
  }
}

interface Case {
  readonly name: string
  readonly bytes: string
  readonly status: number
  readonly body: string
  readonly keeps: boolean
  readonly ends?: boolean
}

const CASES: readonly Case[] = [
  {
    name: 'a length',
    bytes: 'HTTP/1.1 200 OK\r\nServer: a: b\r\ncontent-LENGTH:  5 \r\n\r\nhello',
    status: 200,
    body: 'hello',
    keeps: true,
  },
  {
    name: 'nothing',
    bytes: 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    status: 404,
    body: '',
    keeps: false,
  },
  {
    name: 'chunks, an extension and a trailer',
    bytes:
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5;a="b"\r\nhello\r\n01\r\n!\r\n0\r\nX: y\r\n\r\n',
    status: 200,
    body: 'hello!',
    keeps: true,
  },
  {
    name: "the connection's end",
    bytes: 'HTTP/1.1 200 \r\nX-Content-Length: 3\r\n\r\nhello',
    status: 200,
    body: 'hello',
    keeps: false,
    ends: true,
  },
  {
    name: 'an interim response in front',
    bytes:
      'HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab',
    status: 200,
    body: 'ab',
    keeps: true,
  },
  {
    name: '304, whose length is not its own',
    bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n',
    status: 304,
    body: '',
    keeps: true,
  },
  {
    name: 'HTTP/1.0 that is kept, without a reason',
    bytes: 'HTTP/1.0 200\r\nConnection: upgrade, Keep-Alive\r\nContent-Length: 1\r\n\r\nx',
    status: 200,
    body: 'x',
    keeps: true,
  },
  {
    name: 'line feeds alone',
    bytes: 'HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 1\n\nx',
    status: 200,
    body: 'x',
    keeps: true,
  },
]

describe('a response', () => {
  for (const { name, bytes, status, body, keeps, ends = false } of CASES) {
    it(`with ${name} is read wherever it is cut`, () => {
      const all = ascii(bytes)
      const whole = readPieces([all], ends)
      const { hash, ...rest } = whole
      const expected = { isDone: true, isBad: false, status, keeps, body: body.length }
      assert.deepEqual(rest, { taken: all.length, ...expected })
      assert.equal(hash, fnv1a(ascii(body)))
      for (let cut = 0; cut <= all.length; cut++) {
        assert.deepEqual(readPieces([all.subarray(0, cut), all.subarray(cut)], ends), whole)
        if (cut < all.length) assert.ok(ends || !readPieces([all.subarray(0, cut)]).isDone)
      }
      const single = Array.from(all, (_, i) => all.subarray(i, i + 1))
      assert.deepEqual(readPieces(single, ends), whole)
    })

    if (ends) continue
    it(`with ${name} leaves what follows alone`, () => {
      const read = readPieces([ascii(`${bytes}HTTP/1.1 500`)])
      assert.equal(read.taken, bytes.length)
      assert.equal(read.status, status)
    })
  }

  for (const bytes of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
    'HTTP/1.1 2x0 OK\r\n\r\n',
    'HTTP/1.1 099 OK\r\n\r\n',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n',
    'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000001\r\na\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(HEAD_MAX)}`,
  ]) {
    it(`is not ${JSON.stringify(bytes.slice(0, 70))}`, () => {
      const read = readPieces([ascii(bytes)])
      assert.ok(read.isBad && !read.isDone)
    })
  }

  it('that ends too soon is not done', () => {
    const read = readPieces([ascii('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell')], true)
    assert.ok(!read.isDone && !read.isBad)
    assert.equal(read.body, 4)
  })
})

/** A valid response: its text and its body's. */
const validResponses = fc
  .record({
    status: fc.constantFrom(200, 206, 404, 500, 503),
    interim: fc.boolean(),
    framing: fc.constantFrom('length', 'chunks', 'close'),
    names: fc.array(fc.constantFrom('Content-Lengt', 'Contents', 'Connectio', 'X', 'Transfer')),
    value: fc.constantFrom('', 'a', 'chunked, close', '12'),
    body: fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 5 }),
  })
  .map(({ status, interim, framing, names, value, body }) => {
    const fields = names.map(name => `${name}: ${value}\r\n`).join('')
    const early = interim ? 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' : ''
    const begin = `${early}HTTP/1.1 ${status} So\r\n${fields}`
    const all = body.join('')
    const text = {
      length: `Content-Length: ${all.length}\r\n\r\n${all}`,
      chunks: `Transfer-Encoding: chunked\r\n\r\n${body.map(toChunk).join('')}0\r\n\r\n`,
      close: `Connection: close\r\n\r\n${all}`,
    }[framing]
    return { bytes: ascii(begin + text), ends: framing === 'close' }
  })

const toChunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

test("valid responses, cut anywhere, are what Node's parser says", async () => {
  await fc.assert(
    fc.asyncProperty(validResponses, fc.array(fc.nat(400)), async ({ bytes, ends }, cuts) => {
      const places = [...cuts.map(cut => cut % (bytes.length + 1)), bytes.length]
      const ordered = places.sort((a, b) => a - b)
      const pieces = ordered.map((cut, k) => bytes.subarray(k === 0 ? 0 : ordered[k - 1], cut))
      const read = readPieces(pieces, ends)
      const node = await readByNode(bytes)
      assert.ok(read.isDone && read.taken === bytes.length)
      assert.deepEqual([read.status, read.body], [node.status, node.body.length])
      assert.equal(read.hash, fnv1a(node.body))
    }),
  )
})

async function readByNode(bytes: Uint8Array): Promise<{ status: number; body: Uint8Array }> {
  const wire = new Duplex({
    read() {},
    write: (_, __, done) => done(),
  })
  const asked = request({ createConnection: () => wire }).end()
  wire.push(bytes)
  wire.push(null)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve)
    asked.once('error', reject)
  })
  const parts: Uint8Array[] = []
  for await (const part of response) parts.push(part as Uint8Array)
  assert.ok(response.complete)
  return { status: response.statusCode ?? 0, body: Buffer.concat(parts) }
}

test('mutated responses, cut anywhere, are read alike, and nothing throws', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 })
  fc.assert(
    fc.property(validResponses, changes, fc.nat(), ({ bytes, ends }, changed, cut) => {
      const mutated = Uint8Array.from(bytes)
      for (const [at, value] of changed) mutated[at % bytes.length] = value
      const at = cut % bytes.length
      const whole = readPieces([mutated], ends)
      assert.deepEqual(readPieces([mutated.subarray(0, at), mutated.subarray(at)], ends), whole)
    }),
    { numRuns: 2000 },
  )
})

test('random bytes do not throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      readPieces([ascii('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n'), bytes], true)
      readPieces([bytes], true)
    }),
    { numRuns: 2000 },
  )
})

/** The naive twin of the reader's hash. */
function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5 | 0
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash
}
