/**
 * The policy against http-cache-semantics, an independent reading of RFC 9111, over random
 * responses and requests. Where both must agree they do; where we differ on purpose, one row below
 * says how, and the generator stays away from it:
 *
 * - any final status is stored with explicit freshness (RFC 9111 §3); the oracle knows a few;
 * - an old Date counts as age (§4.2.3); the oracle takes Age alone;
 * - what is no number is a lifetime of 0 (§4.2.1); the oracle reads its leading digits;
 * - names of directives have no case (§5.2), quoted strings hide commas; not so in the oracle;
 * - must-revalidate and proxy-revalidate bind only what is stale (§5.2.2.2); the oracle never uses it;
 * - no-cache and s-maxage forbid stale answers also to max-stale (§4.2.4); the oracle gives them;
 * - Set-Cookie with explicit freshness is used (§7.3); in the oracle it needs `public`;
 * - Pragma says nothing in a response (§5.4); in the oracle it is no-cache;
 * - immutable prolongs nothing (RFC 8246 §2); in the oracle it gives a day;
 * - CDN-Cache-Control (RFC 9213), must-understand and lists of fields are unknown to it;
 * - what was never fresh and cannot be validated is not kept; the oracle gives it to max-stale;
 * - max-stale includes its limit (§5.2.1.2: "no more than").
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import CachePolicy from 'http-cache-semantics'
import { DEFAULT_POLICY, type PolicyConfig } from '../src/cache/config.ts'
import { parseDirectives, requestDirectives } from '../src/cache/directives.ts'
import { makeEntry } from '../src/cache/entry.ts'
import { formatHttpDate } from '../src/cache/httpDate.ts'
import { secondaryKey, varyNamesOf } from '../src/cache/key.ts'
import type { Field } from '../src/cache/message.ts'
import { decide, whyNotStored } from '../src/cache/policy.ts'
import { START_MS } from './kit/cacheOrigin.ts'

type Values = Record<string, string>
const NO_CAP: PolicyConfig = { ...DEFAULT_POLICY, heuristicMaxSec: Number.MAX_SAFE_INTEGER }

let clockMs = START_MS
class Oracle extends CachePolicy {
  now(): number {
    return clockMs
  }
}

const sec = fc.constantFrom(0, 1, 5, 10, 60, 600, 600)
const seconds = (name: string): fc.Arbitrary<string> => sec.map(n => `${name}=${n}`)
const date = (offset: number): string => formatHttpDate(START_MS + offset * 1000)

const response = fc.record(
  {
    'cache-control': fc
      .uniqueArray(
        fc.oneof(
          { arbitrary: seconds('max-age'), weight: 6 },
          { arbitrary: seconds('s-maxage'), weight: 2 },
          { arbitrary: seconds('stale-while-revalidate'), weight: 2 },
          { arbitrary: fc.constantFrom('public', 'foo', 'bar=1'), weight: 2 },
          { arbitrary: fc.constantFrom('private', 'no-store', 'no-cache'), weight: 1 },
        ),
        { selector: directive => directive.split('=')[0], maxLength: 3 },
      )
      .map(directives => directives.join(', ')),
    expires: fc.oneof(fc.constant('0'), fc.constantFrom(-10, 0, 5, 10, 60).map(date)),
    'last-modified': fc.constantFrom(100, 1000, 100_000).map(age => date(-age)),
    age: sec.map(String),
    vary: fc.constantFrom('foo', 'foo', 'foo, bar', '*'),
  },
  { requiredKeys: [] },
)

const request = fc.record(
  {
    'cache-control': fc
      .uniqueArray(
        fc.oneof(
          seconds('max-age'),
          seconds('min-fresh'),
          seconds('max-stale'),
          fc.constantFrom('max-stale', 'no-cache', 'foo'),
        ),
        { selector: directive => directive.split('=')[0], maxLength: 2 },
      )
      .map(directives => directives.join(', ')),
    foo: fc.constantFrom('1', '2'),
    bar: fc.constantFrom('1', '2'),
  },
  { requiredKeys: [] },
)

const authorized = fc
  .tuple(request, fc.nat(9))
  .map(([fields, n]) => (n === 0 ? { ...fields, authorization: 'x' } : fields))
const elapsedSec = fc.constantFrom(0, 0, 1, 4, 9, 50, 500)

/** Without what the head comment sets aside. */
function undisputed(first: Values, answer: Values, second: Values): [Values, Values, Values] {
  const isKept = answer['last-modified'] !== undefined
  const forbids = !isKept || /no-cache|s-maxage/.test(answer['cache-control'] ?? '')
  const asks = (second['cache-control'] ?? '').split(', ')
  const kept = asks.filter(directive => !forbids || !directive.startsWith('max-stale'))
  const said = (first['cache-control'] ?? '').includes('no-cache')
  return [said ? {} : first, answer, { ...second, 'cache-control': kept.join(', ') }]
}

function ours(status: number, first: Values, answer: Values, second: Values): boolean {
  const [asked, said, again] = [first, answer, second].map(v => Object.entries(v) as Field[])
  const by = {
    method: 'GET',
    directives: parseDirectives(first['cache-control']),
    isAuthorized: first['authorization'] !== undefined,
  }
  const head = { status, fields: said }
  if (whyNotStored(by, head, START_MS, NO_CAP) !== '') return false
  const varyNames = varyNamesOf(said)
  const secondary = secondaryKey(varyNames, asked)
  const identity = { key: '', varyNames, secondary, body: new Uint8Array(0) }
  const times = { requestMs: START_MS, responseMs: START_MS }
  const entry = makeEntry(identity, head, times, NO_CAP)
  if (secondaryKey(varyNames, again) !== secondary) return false
  const directives = requestDirectives(second['cache-control'] || undefined, second['pragma'])
  return decide(entry, false, directives, clockMs, NO_CAP).use === 'hit'
}

test('RFC 9111 §3, §4: policy and oracle agree on what is used without asking', () => {
  const status = fc.constantFrom(200, 203, 301, 302, 404, 410)
  let hits = 0
  fc.assert(
    fc.property(status, authorized, response, request, elapsedSec, (code, a, b, c, elapsed) => {
      const headers = { ...b, date: date(0) }
      const [first, answer, second] = undisputed(a as Values, headers as Values, c as Values)
      clockMs = START_MS
      const oracle = new Oracle(
        { method: 'GET', headers: first },
        { status: code, headers: answer },
        { shared: true },
      )
      clockMs = START_MS + elapsed * 1000 + 500
      const theirs =
        oracle.storable() && oracle.satisfiesWithoutRevalidation({ method: 'GET', headers: second })
      assert.equal(ours(code, first, answer, second), theirs)
      if (theirs) hits++
    }),
    { numRuns: 5000 },
  )
  assert.ok(hits > 300, `the comparison means something: ${hits} of 5000 are hits`)
})
