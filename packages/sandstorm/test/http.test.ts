import assert from 'node:assert/strict'
import { before, type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import type { Content } from '../src/content/content.ts'
import * as image from '../src/content/image.ts'
import { DEFAULT_LIMITS, type HttpLimits } from '../src/http/limits.ts'
import { HttpMachine } from '../src/http/machine.ts'
import { answerTo, etagOf, load, makeTree } from './contentTree.ts'
import { get, latin1, lineOf, print, TABLES } from './requestTables.ts'

const FILES = { 'index.html': 'top', 'a.txt': 'a', 'dir/index.html': 'dir', 'ä b.txt': 'utf8' }
let content: Content
let etag: string

before(async t => {
  content = (await load(makeTree(t as TestContext, FILES))).content
  etag = etagOf(answerTo(content, '/a.txt').head)
})

interface Answer {
  status: number
  close: boolean
  headOnly: boolean
  skip: number
  taken: number
}

/**
 * What the machine says to bytes that lie somewhere inside a larger buffer; undefined: more,
 * please.
 */
function ask(
  machine: HttpMachine,
  bytes: Buffer,
  len = bytes.length,
  scanned = 0,
): Answer | undefined {
  const padded = Buffer.concat([
    Buffer.from('##'),
    bytes.subarray(0, len),
    Buffer.from('\r\n\r\n##'),
  ])
  const taken = machine.next(padded, 2, 2 + len, scanned)
  if (taken === 0) return undefined
  assert.ok(taken > 0 && taken <= len)
  const { close, headOnly, skip } = machine
  return { status: content.images[machine.image + image.STATUS], close, headOnly, skip, taken }
}

for (const [name, rows] of Object.entries(TABLES)) {
  test(`${name}: status, persistence, framing`, () => {
    const machine = new HttpMachine(content)
    for (const [request, status, close, more] of rows) {
      const bytes = latin1(request)
      const answer = ask(machine, bytes)
      const expected = { status, close, headOnly: false, skip: 0, taken: bytes.length, ...more }
      assert.deepEqual(answer, expected, print(request))
    }
  })
}

test('a head cut at every byte, in two or byte by byte, gets the same answer', () => {
  const machine = new HttpMachine(content)
  for (const [request] of Object.values(TABLES).flat()) {
    const bytes = latin1(request)
    const { taken: _, ...whole } = ask(machine, bytes)!
    const same = (answer: Answer | undefined, len: number, how: string): void => {
      assert.ok(answer, `${how} ${print(request)}: no answer`)
      const { taken, ...rest } = answer
      assert.deepEqual(rest, whole, `${how} ${print(request)}`)
      assert.equal(taken, len)
    }
    let scanned = 0
    let answer: Answer | undefined
    while (answer === undefined && scanned < bytes.length) {
      answer = ask(machine, bytes, scanned + 1, scanned)
      scanned++
    }
    same(answer, scanned, 'byte by byte:')
    // Cuts deep inside a long value differ in nothing.
    for (let cut = 1; cut < bytes.length; cut += cut > 300 && cut < bytes.length - 300 ? 97 : 1) {
      const first = ask(machine, bytes, cut)
      if (first) same(first, cut, `first ${cut} of`)
      else same(ask(machine, bytes, bytes.length, cut), bytes.length, `cut at ${cut}:`)
    }
  }
})

test('every byte is text or refused, wherever it stands in a value of any length', () => {
  const machine = new HttpMachine(content)
  for (let len = 1; len <= 9; len++) {
    for (let place = 0; place < len; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const value = Buffer.alloc(len, 'v')
        value[place] = byte
        const head = Buffer.concat([latin1('GET / HTTP/1.1\r\nHost: a\r\nX: '), value])
        const answer = ask(machine, Buffer.concat([head, latin1('\r\n\r\n')]))
        const isText = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f)
        assert.equal(answer?.status, isText ? 200 : 400, `${byte} at ${place} of ${len}`)
      }
    }
  }
})

test('a refusal does not wait for the end of the head', () => {
  const machine = new HttpMachine(content)
  for (const [request, status] of [
    ['GET /\r\n', 400],
    ['GET / HTTP/1.1\n', 400],
    ['GET / HTTP/3.0\r\n', 505],
    [`GET /${'x'.repeat(5000)}`, 414],
    ['GET / HTTP/1.1\r\nX: \x01', 400],
  ] as const) {
    assert.equal(ask(machine, latin1(request))?.status, status, print(request))
  }
  // The same when it comes byte by byte, but for control bytes, which may wait for the head's end.
  for (const request of ['GET /\r\n', 'GET / HTTP/1.1\n', 'GET / HTTP/1.1\r\nX: a\rb']) {
    const bytes = latin1(request)
    let answer: Answer | undefined
    for (let len = 1; len <= bytes.length; len++) answer = ask(machine, bytes, len, len - 1)
    assert.equal(answer?.status, 400, print(request))
  }
})

test('no head makes its reader keep more than headBytes, or a target more than its limit', () => {
  const machine = new HttpMachine(content)
  for (const prefix of [
    '',
    'GET ',
    'GET /',
    'GET / HTTP/1.1\r\n',
    'GET / HTTP/1.1\r\nX: ',
    '\r\n',
  ]) {
    const bytes = latin1(prefix + 'x'.repeat(9000))
    let len = 1
    while (ask(machine, bytes, len, len - 1) === undefined) len++
    assert.ok(len <= DEFAULT_LIMITS.headBytes, prefix)
    if (prefix.startsWith('GET ') && !prefix.includes('HTTP')) assert.ok(len <= 4096 + 50)
  }
})

test('a head that comes byte by byte is parsed a fixed number of times', () => {
  const machine = new HttpMachine(content)
  const bytes = latin1(get(...Array.from({ length: 60 }, () => `X: ${'y'.repeat(100)}`)))
  let parses = 0
  for (let len = 1; len <= bytes.length; len++) {
    // Whether the machine parses shows in a head that is spoilt at its first byte: only then is it
    // refused.
    const spoilt = Buffer.from(bytes.subarray(0, len))
    spoilt[0] = 0
    if (machine.next(spoilt, 0, len, len - 1) > 0) parses++
  }
  // At its first byte, at the end of its first line, where the target must have ended, at its end.
  assert.equal(parses, 4)
})

test('several requests in one buffer are taken one by one', () => {
  const machine = new HttpMachine(content)
  const first = get() + lineOf('HEAD /nothing HTTP/1.1')
  const bytes = latin1(`${first}\r\n${get('Content-Length: 5')}abcde${get()}`)
  const seen: number[] = []
  for (let off = 0; off < bytes.length; ) {
    const taken = machine.next(bytes, off, bytes.length, 0)
    assert.ok(taken > 0)
    seen.push(content.images[machine.image + image.STATUS])
    off += taken + machine.skip
  }
  assert.deepEqual(seen, [200, 404, 200, 200])
})

test('what follows a request of doubtful length is never taken for a request', () => {
  const machine = new HttpMachine(content)
  for (const field of [
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked\r\nExpect: 100-continue',
    'Content-Length: 3\r\nExpect: 100-continue',
  ]) {
    const bytes = latin1(get(field) + get())
    assert.equal(machine.next(bytes, 0, bytes.length, 0), bytes.length)
    assert.ok(machine.close)
  }
})

test('If-None-Match turns a 200 into a 304, and nothing else', () => {
  const machine = new HttpMachine(content)
  const status = (request: string): number => ask(machine, latin1(request))!.status
  assert.equal(status(get(`If-None-Match: ${etag}`)), 304)
  assert.equal(status(get(`if-none-match: "x", W/${etag}`)), 304)
  assert.equal(status(get('If-None-Match: *')), 304)
  assert.equal(status(get('If-None-Match: "x"', `If-None-Match: ${etag}`)), 304)
  assert.equal(status(get('If-None-Match: "x"')), 200)
  assert.equal(status(get('If-None-Match:')), 200)
  const line = (first: string): string => `${first} HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n`
  assert.equal(status(line('HEAD /a.txt')), 304)
  assert.equal(status(line('GET /nothing')), 404)
  assert.equal(status(line('GET /dir')), 308)
  assert.equal(status(line('POST /a.txt')), 405)
})

test('the machine keeps nothing from one request to the next', () => {
  const machine = new HttpMachine(content)
  const plain = ask(machine, latin1(get()))
  for (const [request] of Object.values(TABLES).flat()) {
    ask(machine, latin1(request))
    assert.deepEqual(ask(machine, latin1(get())), plain, `after ${print(request)}`)
  }
})

test('limits can be set, and contradicting ones are refused', () => {
  const answer = (limits: Partial<HttpLimits>, request: string): number | undefined =>
    ask(new HttpMachine(content, limits), latin1(request))?.status
  assert.equal(answer({ targetBytes: 6 }, get()), 200)
  assert.equal(answer({ targetBytes: 5 }, get()), 414)
  assert.equal(answer({ fields: 1 }, get()), 200)
  assert.equal(answer({ fields: 1 }, get('X: y')), 431)
  assert.equal(answer({ bodyBytes: 4 }, get('Content-Length: 5')), 413)
  assert.throws(() => new HttpMachine(content, { headBytes: 4096 }), /room for its target/)
})

/** Takes requests until the bytes are used up, like a mount; fails if that does not end. */
function drive(machine: HttpMachine, bytes: Buffer): void {
  for (let off = 0; off < bytes.length; ) {
    const taken = machine.next(bytes, off, bytes.length, 0)
    assert.ok(Number.isInteger(taken) && taken >= 0 && off + taken <= bytes.length)
    if (taken === 0) {
      assert.ok(bytes.length - off < DEFAULT_LIMITS.headBytes)
      return
    }
    assert.ok(content.images[machine.image + image.STATUS] >= 200)
    assert.ok(machine.skip >= 0 && machine.skip <= DEFAULT_LIMITS.bodyBytes)
    if (machine.close) return
    off += taken + machine.skip
  }
}

test('random bytes never throw, and always end', () => {
  const machine = new HttpMachine(content)
  const anyByte = fc.uint8Array({ maxLength: 600 })
  const likely = fc
    .array(
      fc.constantFrom(
        '\r\n',
        'GET ',
        '/',
        'a.txt',
        ' HTTP/1.1',
        'Host: x',
        ':',
        ' ',
        '%',
        '\n',
        'Content-Length: ',
        '5',
      ),
      { maxLength: 40 },
    )
    .map(parts => latin1(parts.join('')))
  fc.assert(
    fc.property(fc.oneof(anyByte, likely), bytes => drive(machine, Buffer.from(bytes))),
    { numRuns: 20000 },
  )
})

test('mutated heads never throw, and are answered the same however they are cut', () => {
  const machine = new HttpMachine(content)
  const valid = Object.values(TABLES)
    .flat()
    .map(([request]) => request)
    .filter(r => r.length < 400)
  const mutation = fc.record({
    at: fc.nat(),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'insert', 'delete', 'double'),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...valid),
      fc.array(mutation, { maxLength: 3 }),
      fc.nat(),
      (request, mutations, cutAt) => {
        let text = request
        for (const { at, byte, kind } of mutations) {
          const i = at % text.length
          const c = String.fromCharCode(byte)
          const middle = { set: c, insert: c + text[i], delete: '', double: text[i] + text[i] }[
            kind
          ]!
          text = text.slice(0, i) + middle + text.slice(i + 1) || 'x'
        }
        const bytes = latin1(text)
        drive(machine, bytes)
        const whole = ask(machine, bytes)
        const cut = 1 + (cutAt % bytes.length)
        const first = ask(machine, bytes, cut)
        let answer = first ?? ask(machine, bytes, bytes.length, cut)
        // What is refused while incomplete may be refused later, but no later than at its end.
        const ended = Buffer.concat([bytes, latin1('\r\n\r\n')])
        if (whole && whole.status >= 400) answer ??= ask(machine, ended, ended.length, bytes.length)
        assert.deepEqual({ ...answer, taken: 0 }, { ...whole, taken: 0 })
      },
    ),
    { numRuns: 20000 },
  )
})

const ROUNDS = 3

test('nothing is allocated per request', () => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const machine = new HttpMachine(content)
  const heads = [
    get(),
    get(`If-None-Match: W/${etag}`),
    lineOf('HEAD /%61.txt HTTP/1.1'),
    get('X: \x01'),
  ]
  // As a mount on our own stack has them: all in one region.
  const bytes = Buffer.concat(heads.map(latin1))
  let end = 0
  const ends = heads.map(head => (end += head.length))
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const head = i & 3
      const start = ends[head] - heads[head].length
      machine.next(bytes, start, ends[head] - 2, 0)
      assert.ok(machine.next(bytes, start, ends[head], ends[head] - 2 - start) > 0)
    }
  }
  run(100_000) // compiles
  const growth = Array.from({ length: ROUNDS }, () => {
    gc()
    const before = process.memoryUsage().heapUsed
    run(100_000)
    return process.memoryUsage().heapUsed - before
  })
  // What is allocated for a request is so in each round; what a late compilation leaves is not. One
  // object of two words per call would be 3.2 MB.
  assert.ok(Math.min(...growth) < 500_000, `the heap grew by ${growth.join(', ')} bytes`)
})
