import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as image from '../src/content/image.ts'
import { headerProblem } from '../src/site/ruleHeaders.ts'
import { checkRuleHeaders } from '../src/site/rules.ts'
import type { Rule } from '../src/site/site.ts'
import { answerOf, answerTo, find, imagesOf, load, makeTree, notModifiedTo } from './contentTree.ts'

/** The lines of a head, without its first four. */
function linesOf(head: string): string[] {
  return head
    .split('\r\n')
    .slice(1, -2)
    .filter(line => !/^(Date|Connection|Last-Modified|ETag): /.test(line))
}

const rule = (match: string, headers: Record<string, string>): Rule => ({ match, headers })

test('fields of a rule are on 200, those for caches and other origins on 304 too', async t => {
  const headers = {
    'Cache-Control': 'max-age=60',
    Expires: 'Sun, 06 Nov 1994 08:49:37 GMT',
    'Access-Control-Allow-Origin': '*',
    'X-Own': 'yes',
  }
  const { content } = await load(makeTree(t, { 'a.css': 'x', 'b.js': 'x' }), {
    rules: [rule('*.css', headers)],
  })
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  assert.deepEqual(linesOf(answerTo(content, '/a.css').head), [
    'Server: sandstorm',
    'Content-Type: text/css; charset=utf-8',
    'Content-Length: 1',
    'Accept-Ranges: bytes',
    'X-Content-Type-Options: nosniff',
    ...lines,
  ])
  assert.deepEqual(linesOf(notModifiedTo(content, '/a.css').head), [
    'Server: sandstorm',
    ...lines.slice(0, 3),
  ])
  assert.equal(linesOf(answerTo(content, '/b.js').head).length, 5)
})

test('the last rule that matches decides a field, in any case of its name, and "" takes it out', async t => {
  const rules = [
    rule('**', { 'cache-control': 'no-cache', 'X-A': '1', Server: 'mine' }),
    rule('/assets/**', { 'Cache-Control': 'immutable', 'x-a': '' }),
    rule('*.txt', { 'X-Content-Type-Options': '', server: '', 'Accept-Ranges': '' }),
  ]
  const { content } = await load(makeTree(t, { 'assets/a.txt': 'x', 'b.bin': 'x' }), { rules })
  assert.deepEqual(linesOf(answerTo(content, '/assets/a.txt').head), [
    'Content-Type: text/plain; charset=utf-8',
    'Content-Length: 1',
    'Cache-Control: immutable',
  ])
  assert.deepEqual(linesOf(answerTo(content, '/b.bin').head), [
    'Server: mine',
    'Content-Type: application/octet-stream',
    'Content-Length: 1',
    'Accept-Ranges: bytes',
    'X-Content-Type-Options: nosniff',
    'cache-control: no-cache',
    'X-A: 1',
  ])
})

test('a type may be another, and Vary is merged with ours', async t => {
  const files = { 'a.foo': 'x', 'b.foo': 'x', 'b.foo.gz': 'z', 'c.foo': 'x', 'c.foo.gz': 'z' }
  const rules = [
    rule('*', { 'Content-Type': 'text/x-foo', Vary: 'Origin' }),
    rule('c*', { Vary: '' }),
  ]
  const { content } = await load(makeTree(t, files), { rules })
  const vary = (path: string): unknown =>
    /\r\nVary: (.*)\r\n/.exec(answerTo(content, path).head)?.[1]
  assert.match(answerTo(content, '/a.foo').head, /\r\nContent-Type: text\/x-foo\r\n/)
  assert.equal(vary('/a.foo'), 'Origin')
  assert.equal(vary('/b.foo'), 'Accept-Encoding, Origin')
  assert.equal(vary('/c.foo'), undefined)
  assert.match(notModifiedTo(content, '/b.foo').head, /\r\nVary: Accept-Encoding, Origin\r\n/)
})

test('a file gets the fields of every path that it answers to, a redirect those of its own', async t => {
  const rules = [rule('/', { 'X-Top': '1' }), rule('*.html', { 'X-Html': '1' })]
  rules.push(rule('/dir', { 'X-Dir': '1', 'Content-Type': 'text/plain' }))
  const root = makeTree(t, { 'index.html': 'x', 'dir/index.html': 'x' })
  const { content } = await load(root, { rules })
  assert.match(answerTo(content, '/').head, /\r\nX-Top: 1\r\nX-Html: 1\r\n/)
  assert.doesNotMatch(answerTo(content, '/dir/').head, /X-Top|X-Dir/)
  assert.deepEqual(linesOf(answerTo(content, '/dir').head), [
    'Server: sandstorm',
    'Location: ./dir/',
    'Content-Length: 0',
    'X-Dir: 1',
  ])
})

test('the Server field may be another or none, on every answer', async t => {
  const root = makeTree(t, { 'a/index.html': 'x' })
  for (const serverName of ['', 'other/1.0']) {
    const { content } = await load(root, { serverName })
    for (const i of imagesOf(content)) {
      const { head } = answerOf(content, i)
      assert.equal(head.includes('\r\nServer:'), serverName !== '')
      if (serverName !== '') assert.match(head, /^[^\r]*\r\nServer: other\/1\.0\r\n/)
    }
  }
})

test('the answer to OPTIONS tells other origins what the rules let them', async t => {
  const root = makeTree(t, { 'a.txt': 'x' })
  const plain = (await load(root)).content
  assert.deepEqual(linesOf(answerOf(plain, plain.statusImage(0, 204)).head), [
    'Server: sandstorm',
    'Allow: GET, HEAD, OPTIONS',
  ])
  const rules = [
    rule('*.txt', { 'access-control-allow-origin': 'https://a.example' }),
    rule('*.js', { 'Access-Control-Allow-Origin': '' }),
  ]
  const { content } = await load(root, { rules })
  assert.deepEqual(linesOf(answerOf(content, content.statusImage(0, 204)).head), [
    'Server: sandstorm',
    'Allow: GET, HEAD, OPTIONS',
    'Access-Control-Allow-Origin: https://a.example',
    'Access-Control-Allow-Methods: GET, HEAD, OPTIONS',
    'Access-Control-Allow-Headers: Range, If-Range, If-None-Match, If-Modified-Since',
    'Access-Control-Max-Age: 86400',
  ])
})

test('names that are no tokens and values with control bytes are refused', () => {
  const name = /not a field name/
  const value = /not printable ASCII/
  const bad: [string, string, RegExp][] = [
    ['', 'x', name],
    ['A B', 'x', name],
    ['A:', 'x', name],
    ['A\r\nB', 'x', name],
    ['Ä', 'x', name],
    ['A', 'x\r\nB: y', value],
    ['A', 'x\ny', value],
    ['A', 'x\0', value],
    ['A', 'x\x7f', value],
    ['A', 'naïve', value],
    ['A', ' x', /white space/],
    ['A', 'x\t', /white space/],
  ]
  for (const [header, text, reason] of bad) {
    assert.match(headerProblem(header, text), reason)
    assert.throws(() => checkRuleHeaders({ [header]: text }), reason)
  }
  assert.equal(headerProblem('X-A', 'a\tb "u"'), '')
  assert.equal(headerProblem('X-A', ''), '')
})

test('fields that frame an answer, a name that is there twice, and a missing type are refused', () => {
  const own = ['Content-Length', 'connection', 'DATE', 'Transfer-Encoding', 'ETag']
  for (const name of [...own, 'Last-Modified', 'Content-Range', 'Content-Encoding']) {
    const why = /frames the message|the server knows best/
    assert.throws(() => checkRuleHeaders({ [name]: 'x' }), why)
    assert.throws(() => checkRuleHeaders({ [name]: '' }), why)
  }
  assert.throws(() => checkRuleHeaders({ 'X-A': '1', 'x-a': '2' }), /given twice/)
  assert.throws(() => checkRuleHeaders({ 'content-type': '' }), /cannot be taken out/)
  checkRuleHeaders({ 'Content-Type': 'text/plain', Vary: 'Origin', Server: '', 'X-A': '' })
})

test('loading refuses a bad rule and a bad Server name by itself', async t => {
  const root = makeTree(t, { 'a.txt': 'x' })
  const refused = (site: Parameters<typeof load>[1], why: RegExp): Promise<void> =>
    assert.rejects(load(root, site), { name: 'StartError', message: why })
  await refused({ rules: [rule('[', {})] }, /^cannot serve .*: rule "\[": "\[" without "\]"$/)
  await refused(
    { rules: [rule('*', { 'X-A': 'a\r\nB: c' })] },
    /X-A: a value with characters that are not printable ASCII/,
  )
  await refused({ serverName: 'a\r\nB: c' }, /a value with characters that are not printable ASCII/)
  await refused(
    { serverName: 'x'.repeat(900) },
    /the name of the server has 900 characters, the limit is 256/,
  )
})

test('a head that is too long is an error with path, bytes and limit; the longest is served', async t => {
  const root = makeTree(t, { 'dir/a.txt': 'x' })
  const { content } = await load(root)
  const len =
    content.images[
      content.imageOf(content.variantOf(find(content, '/dir/a.txt'), 0)) + image.HEAD_LEN
    ]
  const spare = image.HEAD_LEN_MAX - len - 'X-Long: \r\n'.length
  const long = (extra: number): Rule[] => [rule('a.*', { 'X-Long': 'x'.repeat(spare + extra) })]
  assert.equal(answerTo((await load(root, { rules: long(0) })).content, '/dir/a.txt').status, 200)
  await assert.rejects(load(root, { rules: long(1) }), {
    name: 'StartError',
    message: /^\/dir\/a\.txt: its answer's head has 4097 bytes, the limit is 4096; /,
  })
})
