/**
 * The small languages of the configuration file: durations, host names, origins, fields, JSON
 * itself.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseDuration } from '../src/cli/duration.ts'
import { normalHost } from '../src/config/hosts.ts'
import { findJsonProblem } from '../src/config/jsonSyntax.ts'
import { isOrigin } from '../src/config/siteFlags.ts'
import { suggest } from '../src/config/suggest.ts'
import { headerProblem } from '../src/site/ruleHeaders.ts'

describe('durations', () => {
  for (const [text, ms] of [
    ['10s', 10_000],
    ['500ms', 500],
    ['1.5s', 1500],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['10', 10_000],
    ['0', 0],
    ['', Number.NaN],
    ['s', Number.NaN],
    ['-1s', Number.NaN],
    ['1 s', Number.NaN],
    ['1e3', Number.NaN],
    ['1d', Number.NaN],
  ] as const)
    test(`"${text}" is ${ms} ms`, () => assert.equal(parseDuration(text), ms))
  test('what formatDuration writes, parseDuration reads back', () => {
    fc.assert(fc.property(fc.nat(), ms => parseDuration(formatDuration(ms)) === ms))
  })
})

describe('host names', () => {
  for (const [text, name] of [
    ['Example.ORG', 'example.org'],
    ['example.org.', 'example.org'],
    ['localhost', 'localhost'],
    ['*.Example.org', '*.example.org'],
    ['a_b.example', 'a_b.example'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['10.77.0.2', '10.77.0.2'],
    ['[FD77:0:0::2]', '[fd77::2]'],
    ['', ''],
    ['.', ''],
    ['*', ''],
    ['*.', ''],
    ['a.*.b', ''],
    ['a..b', ''],
    ['-a.b', ''],
    ['a b', ''],
    ['a:80', ''],
    ['http://a', ''],
    ['fd77::2', ''],
    ['[fd77]', ''],
    ['*.10.77.0.2', ''],
    ['0x7f.1', ''],
    [`${'a'.repeat(64)}.b`, ''],
  ] as const)
    test(`"${text}" is compared as "${name}"`, () => assert.equal(normalHost(text), name))
  test('once normal, stay as they are', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.domain(), fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(text, some => {
        const name = normalHost(some)
        assert.equal(name === '' ? '' : normalHost(name), name)
        assert.match(name, /^[!-~]*$/)
      }),
    )
  })
})

describe('fields of a rule', () => {
  for (const [name, value, isFine] of [
    ['X-Frame-Options', 'DENY', true],
    ['Server', '', true],
    ['X', 'a\tb c', true],
    ['', 'x', false],
    ['X Y', 'x', false],
    ['X:', 'x', false],
    ['Content-Length', '3', false],
    ['content-LENGTH', '', false],
    ['Connection', 'close', false],
    ['Transfer-Encoding', 'chunked', false],
    ['ETag', '"x"', false],
    ['Last-Modified', 'x', false],
    ['Content-Range', 'x', false],
    ['Content-Encoding', 'gzip', false],
    ['Date', 'x', false],
    ['X', ' x', false],
    ['X', 'a\r\nB: c', false],
    ['X', 'é', false],
  ] as const)
    test(`"${name}: ${JSON.stringify(value)}" is ${isFine ? 'fine' : 'refused'}`, () =>
      assert.equal(headerProblem(name, value) === '', isFine))
  test('never end a line of the head', () => {
    const text = fc.string({ unit: fc.constantFrom(...'aZ-: \r\n\t\0\x7f') })
    fc.assert(
      fc.property(text, text, (name, value) => {
        if (headerProblem(name, value) === '') assert.doesNotMatch(name + value, /[\r\n\0\x7f]/)
      }),
    )
  })
})

test('an origin has a scheme, a host, perhaps a port, and nothing else', () => {
  for (const text of ['*', 'https://example.org', 'http://a:81', 'http://[::1]:81'])
    assert.ok(isOrigin(text), text)
  for (const text of [
    '',
    'null',
    'example.org',
    'https://a/',
    'https://A',
    'https://a:443',
    'file:x',
  ])
    assert.ok(!isOrigin(text), text)
})

test('what was meant is the nearest name, if one is near', () => {
  const known = ['port', 'hostAddress', 'hostAddress6', 'rules', 'cc']
  for (const [name, meant] of [
    ['prot', 'port'],
    ['PORT', 'port'],
    ['host-address', 'hostAddress'],
    ['hostAdress6', 'hostAddress6'],
    ['rule', 'rules'],
    ['zebra', ''],
    ['x', ''],
    ['', ''],
    ['x'.repeat(10_000), ''],
  ])
    assert.equal(suggest(name, known), meant, name.slice(0, 20))
})

describe('the walk over JSON', () => {
  const agrees = (text: string): boolean => {
    const problem = findJsonProblem(text)
    if (problem !== undefined && /twice|levels/.test(problem.why)) return true
    let isFine = true
    try {
      JSON.parse(text)
    } catch {
      isFine = false
    }
    assert.equal(problem === undefined, isFine, JSON.stringify(text))
    return problem === undefined || (problem.off >= 0 && problem.off <= text.length)
  }
  test('takes what JSON.parse takes, and nothing else', () => {
    for (const text of [
      '01',
      '-',
      '1.',
      '1e',
      '"\\x"',
      '"\\u12"',
      'nul',
      'truefalse',
      ' 1 ',
      '\v1',
    ])
      assert.ok(agrees(text))
    const chars = fc.string({ unit: fc.constantFrom(...'{}[]",:\\ \n01-.eEtrualsfn/') })
    fc.assert(fc.property(chars, agrees), { numRuns: 3000 })
    fc.assert(fc.property(fc.json(), fc.nat(50), (text, at) => agrees(text.slice(0, at))))
    fc.assert(fc.property(fc.json(), agrees))
  })
  test('sees a key that is there twice, however it is written', () => {
    assert.match(findJsonProblem('{"a": 1, "\\u0061": 2}')?.why ?? '', /"a" is there twice/)
    assert.equal(findJsonProblem('{"a": {"a": 1}, "b": {"a": 1}}'), undefined)
  })
})
