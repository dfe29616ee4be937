import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Content } from '../src/content/content.ts'
import { BAD_PATH, HIDDEN, PathFinder } from '../src/http/path.ts'
import { isUtf8 } from '../src/http/utf8.ts'

/** A content store that finds everything, and remembers under which path it was asked. */
class Recorder {
  asked: string | undefined
  find(_site: number, bytes: Uint8Array, start: number, end: number): number {
    this.asked = Buffer.from(bytes.subarray(start, end)).toString()
    return 1
  }
}

/** The canonical path that a raw one is looked up under, or why it is not. */
function mapped(raw: string | Buffer): string | number {
  const recorder = new Recorder()
  const paths = new PathFinder(recorder as unknown as Content, 4096)
  const bytes = Buffer.concat([
    Buffer.from('.'),
    Buffer.from(raw as string, 'latin1'),
    Buffer.from('.%'),
  ])
  const result = paths.find(0, bytes, 1, bytes.length - 2)
  if (result < 0) assert.equal(recorder.asked, undefined)
  return recorder.asked ?? result
}

/**
 * The naive model: what a careful person would do with strings. It answers with a path inside the
 * root, 404 or 400, and shares nothing with the code under test.
 */
function model(raw: string): string | number {
  const bytes: number[] = []
  const path = raw.replace(/\?.*$/s, '')
  for (let i = 0; i < path.length; i++) {
    if (path[i] !== '%') bytes.push(path.charCodeAt(i))
    else {
      const hex = path.slice(i + 1, i + 3)
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) return BAD_PATH
      const byte = Number.parseInt(hex, 16)
      if (byte === 0 || byte === 0x2f) return BAD_PATH
      bytes.push(byte)
      i += 2
    }
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
  } catch {
    return BAD_PATH
  }
  if (text.includes('\\')) return BAD_PATH
  const segments = text.slice(1).split('/')
  if (segments.includes('.') || segments.includes('..')) return BAD_PATH
  const hidden = segments.filter((s, i) => s.startsWith('.') && !(i === 0 && s === '.well-known'))
  return hidden.length > 0 ? HIDDEN : text
}

const KNOWN: [raw: string, mapped: string | number][] = [
  ['/', '/'],
  ['/a/b.txt', '/a/b.txt'],
  ['/a.b/c..d/e.', '/a.b/c..d/e.'],
  ['/a?b/../c%zz\\', '/a'],
  ['/?', '/'],
  ['/%61?%', '/a'],
  ['/a%20b', '/a b'],
  ['/%C3%a4', '/ä'],
  ['/\xc3\xa4', '/ä'],
  ['//', '//'],
  ['/%25', '/%'],
  ['/%252e%252e/', '/%2e%2e/'],
  ['/%3f%23', '/?#'],
  ['/%0d%0a', '/\r\n'],
  ['/..', BAD_PATH],
  ['/.', BAD_PATH],
  ['/../etc/passwd', BAD_PATH],
  ['/a/./b', BAD_PATH],
  ['/a/..', BAD_PATH],
  ['/.git/../a', BAD_PATH],
  ['/%2e%2e/', BAD_PATH],
  ['/%2E./x', BAD_PATH],
  ['/.%2e/x', BAD_PATH],
  ['/a%2fb', BAD_PATH],
  ['/a%2Fb', BAD_PATH],
  ['/a%5cb', BAD_PATH],
  ['/a\\b', BAD_PATH],
  ['/..\\a', BAD_PATH],
  ['/a%00', BAD_PATH],
  ['/%', BAD_PATH],
  ['/%2', BAD_PATH],
  ['/%2?5', BAD_PATH],
  ['/%g0', BAD_PATH],
  ['/%+1', BAD_PATH],
  ['/%c0%ae%c0%ae/', BAD_PATH],
  ['/%c0%af', BAD_PATH],
  ['/%e0%80%af', BAD_PATH],
  ['/%f0%80%80%af', BAD_PATH],
  ['/%ed%a0%80', BAD_PATH],
  ['/%f4%90%80%80', BAD_PATH],
  ['/%ff', BAD_PATH],
  ['/%c3', BAD_PATH],
  ['/\xe4', BAD_PATH],
  ['/.git', HIDDEN],
  ['/...', HIDDEN],
  ['/..;/a', HIDDEN],
  ['/a/.env', HIDDEN],
  ['/%2egit', HIDDEN],
  ['/.well-known', '/.well-known'],
  ['/.well-known/acme-challenge/x', '/.well-known/acme-challenge/x'],
  ['/%2ewell-known/x', '/.well-known/x'],
  ['/.well-knownx/', HIDDEN],
  ['/.well-know', HIDDEN],
  ['/.well-known/.x', HIDDEN],
  ['/.well-known/../x', BAD_PATH],
  ['/a/.well-known/x', HIDDEN],
]

test('paths are decoded once, and what is not canonical is refused', () => {
  for (const [raw, expected] of KNOWN) assert.equal(mapped(raw), expected, raw)
})

test('the model agrees with the table above', () => {
  for (const [raw, expected] of KNOWN) assert.equal(model(raw), expected, raw)
})

const PIECES = [
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2e%2e',
  '..%2f',
  '%2f',
  '%5c',
  '\\',
  '%00',
  '%c0%ae',
  '%c0%af',
  '%e0%80%ae',
  '%252e',
  '%25',
  '%',
  '%2',
  '?',
  ';',
  'a',
  'etc',
  'passwd',
  '.git',
  '.well-known',
  ' %20',
  '\xc0\xae',
  '\xc3\xa4',
  '%C3%A4',
  '\xff',
  '%f0%9f%98%80',
  '\x7f',
  '~',
  'C:',
  '\u00a0',
]

test('20,000 traversal attempts map as the naive model says, and never out of the root', () => {
  const attempt = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map(p => `/${p.join('')}`)
  fc.assert(
    fc.property(attempt, raw => {
      const path = mapped(raw)
      assert.equal(path, model(raw))
      if (typeof path === 'number') return
      assert.ok(path.startsWith('/') && !path.includes('\0') && !path.includes('\\'))
      assert.ok(!path.split('/').some(s => s === '.' || s === '..'))
    }),
    { numRuns: 20000 },
  )
})

test('any bytes map as the naive model says', () => {
  const any = fc.uint8Array({ maxLength: 40 }).map(b => `/${Buffer.from(b).toString('latin1')}`)
  fc.assert(
    fc.property(any, raw => assert.equal(mapped(raw), model(raw))),
    { numRuns: 20000 },
  )
})

test('every code point is mapped to itself', () => {
  for (let c = 1; c <= 0x10ffff; c += c < 0x3000 ? 1 : 251) {
    if (c >= 0xd800 && c < 0xe000) continue
    const char = String.fromCodePoint(c)
    if (char === '/' || char === '\\' || char === '.') continue
    const percent = [...Buffer.from(char)].map(b => `%${b.toString(16).padStart(2, '0')}`).join('')
    assert.equal(mapped(`/${percent}`), `/${char}`)
  }
})

test('isUtf8 agrees with TextDecoder on all short sequences around the borders', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const borders = [
    0x00, 0x2f, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
  ]
  borders.push(0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff)
  const bytes = new Uint8Array(6).fill(0x80)
  const check = (len: number): void => {
    let expected = true
    try {
      decoder.decode(bytes.subarray(1, 1 + len))
    } catch {
      expected = false
    }
    assert.equal(isUtf8(bytes, 1, 1 + len), expected, `${bytes.subarray(1, 1 + len)}`)
  }
  const fill = (at: number, len: number): void => {
    if (at === len) {
      check(len)
      return
    }
    for (const b of borders) {
      bytes[1 + at] = b
      fill(at + 1, len)
    }
    bytes[1 + at] = 0x80
  }
  for (let len = 0; len <= 3; len++) fill(0, len)
  for (const lead of [0xf0, 0xf1, 0xf3, 0xf4, 0xf5]) {
    for (const second of borders) {
      bytes.set([lead, second, 0x80, 0xbf], 1)
      check(4)
      bytes[4] = 0x7f
      check(4)
    }
  }
})
