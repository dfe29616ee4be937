/** SYN cookies as numbers (RFC 4987 §3.6); their use is in synCookies.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  COOKIE_MSS,
  COOKIE_PERIOD_MS,
  cookieOptions,
  cookieTsVal,
  hasEcn,
  hasSack,
  NO_COOKIE,
  NO_COOKIE_OPTIONS,
  optionsOf,
  SynCookies,
  windowScaleOf,
} from '../src/tcp/opening/cookie.ts'
import { lt } from '../src/tcp/seq.ts'
import { Random } from './kit/random.ts'

const cookiesOf = (seed: number, macBits?: number): SynCookies => {
  const random = new Random(seed)
  return new SynCookies(() => random.int32(), macBits)
}

/** What a cookie is made of, and when; `what`: the MSS, or the cookie itself. */
type Question = [
  remote: number,
  local: number,
  ports: number,
  irs: number,
  what: number,
  options: number,
  clockMs: number,
]

function make(cookies: SynCookies, ...args: Question): number {
  const [remote, local, ports, irs, mss, options, clockMs] = args
  cookies.setTime(clockMs)
  return cookies.make(remote, local, ports, irs, mss, options)
}

function check(cookies: SynCookies, ...args: Question): number {
  const [remote, local, ports, irs, iss, options, clockMs] = args
  cookies.setTime(clockMs)
  return cookies.check(remote, local, ports, irs, iss, options)
}

function isExpected(cookies: SynCookies, clockMs: number): boolean {
  cookies.setTime(clockMs)
  return cookies.isExpected
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const clock = fc.integer({ min: 0, max: 2 ** 44 })
const anyMss = fc.integer({ min: 48, max: 65535 })
const anyOptions = fc.integer({ min: NO_COOKIE_OPTIONS, max: 63 })
const roundedDown = (mss: number): number => Math.max(...COOKIE_MSS.filter(value => value <= mss))

test('the table has the smallest MSS, both defaults, and what Ethernet gives', () => {
  assert.equal(COOKIE_MSS.length, 8)
  for (const mss of [48, 536, 1220, 1300, 1440, 1460, 8960]) assert.ok(COOKIE_MSS.includes(mss))
})

test('what was made is found good for 64 s at least, with the MSS rounded down', () => {
  const cookies = cookiesOf(1)
  fc.assert(
    fc.property(
      fc.tuple(int32, int32, int32, int32),
      anyMss,
      anyOptions,
      clock,
      fc.integer({ min: 0, max: COOKIE_PERIOD_MS }),
      ([remote, local, ports, irs], mss, options, now, age) => {
        const iss = make(cookies, remote, local, ports, irs, mss, options, now)
        assert.equal(iss, iss | 0)
        const found = check(cookies, remote, local, ports, irs, iss, options, now + age)
        assert.equal(found, roundedDown(mss))
      },
    ),
    { seed: 1, numRuns: 2000 },
  )
})

test('a cookie is refused from its third period on', () => {
  const cookies = cookiesOf(2)
  const random = new Random(3)
  const start = 1000 * COOKIE_PERIOD_MS
  for (let i = 0; i < 2000; i++) {
    const [remote, ports, irs] = [random.int32(), random.int32(), random.int32()]
    const made = start + random.below(COOKIE_PERIOD_MS)
    const iss = make(cookies, remote, 1, ports, irs, 1460, NO_COOKIE_OPTIONS, made)
    const checkAt = (ms: number): number =>
      check(cookies, remote, 1, ports, irs, iss, NO_COOKIE_OPTIONS, ms)
    assert.equal(checkAt(start + 2 * COOKIE_PERIOD_MS - 1), 1460)
    for (const periods of [2, 3, 4, 100, 2 ** 16, 2 ** 31]) {
      assert.equal(checkAt(start + periods * COOKIE_PERIOD_MS), NO_COOKIE, `${periods} periods`)
    }
    assert.equal(checkAt(start - 1), NO_COOKIE, 'nor is one from the future good')
  }
})

test('any other peer, port, ISN, MSS or option makes a cookie false', () => {
  const cookies = cookiesOf(4)
  const random = new Random(5)
  for (let i = 0; i < 5000; i++) {
    const args = [random.int32(), random.int32(), random.int32(), random.int32()]
    const options = random.below(65) - 1
    const mss = random.pick(COOKIE_MSS)
    const iss = make(cookies, args[0], args[1], args[2], args[3], mss, options, 0)
    const which = random.below(6)
    if (which < 4) args[which] ^= 1 << random.below(32)
    const given = which === 4 ? iss ^ (2 + 2 * random.below(7)) : iss
    const claimed = which === 5 ? otherThan(options, random) : options
    const found = check(cookies, args[0], args[1], args[2], args[3], given, claimed, 0)
    assert.equal(found, NO_COOKIE, `field ${which}, options ${options} claimed as ${claimed}`)
  }
})

const otherThan = (options: number, random: Random): number => {
  const other = random.below(64) - 1
  return other >= options ? other + 1 : other
}

test('a million random ACKs make no connection', () => {
  const cookies = cookiesOf(6)
  const random = new Random(7)
  let good = 0
  for (let i = 0; i < 1_000_000; i++) {
    const iss = random.int32()
    if (check(cookies, i, 1, 2, random.int32(), iss, NO_COOKIE_OPTIONS, i) !== NO_COOKIE) good++
  }
  assert.equal(good, 0, 'expected: 0.004')
})

test('of a million guesses at a hash cut to 8 or 12 bits, as many succeed as chance has it', () => {
  for (const bits of [8, 12]) {
    const cookies = cookiesOf(8, bits)
    const random = new Random(9)
    const guesses = 1_000_000
    let good = 0
    for (let i = 0; i < guesses; i++) {
      const options = random.below(65) - 1
      if (check(cookies, random.int32(), 1, 2, 3, random.int32(), options, i) !== NO_COOKIE) good++
    }
    const expected = guesses * 2 ** -bits
    const sigma = Math.sqrt(expected)
    assert.ok(Math.abs(good - expected) < 4 * sigma, `${bits} bits: ${good}, not ${expected}`)
  }
})

test('at any moment 16 numbers are good for a peer, 2^-28 of all: eight MSS in two periods', () => {
  const cookies = cookiesOf(10)
  const now = 5 * COOKIE_PERIOD_MS
  const good = new Set<number>()
  for (const mss of COOKIE_MSS) {
    for (const ms of [now, now - COOKIE_PERIOD_MS]) {
      good.add(make(cookies, 1, 2, 3, 4, mss, NO_COOKIE_OPTIONS, ms))
    }
  }
  assert.equal(good.size, 16)
  for (const iss of good) {
    assert.notEqual(check(cookies, 1, 2, 3, 4, iss, NO_COOKIE_OPTIONS, now), NO_COOKIE)
    // None of the other values of the four bits outside of the hash is good with the same hash.
    for (let low = 1; low < 16; low++) {
      assert.equal(check(cookies, 1, 2, 3, 4, iss ^ low, NO_COOKIE_OPTIONS, now), NO_COOKIE)
    }
  }
})

test('a repeated SYN gets the same cookie within a period; other keys make others', () => {
  const make = (seed: number): number => cookiesOf(seed).make(1, 2, 3, 4, 1460, NO_COOKIE_OPTIONS)
  assert.equal(make(1), make(1))
  assert.notEqual(make(1) >> 4, make(2) >> 4)
})

test('cookies are expected for two periods after the last was sent', () => {
  const cookies = cookiesOf(11)
  assert.equal(isExpected(cookies, 0), false)
  make(cookies, 1, 2, 3, 4, 1460, NO_COOKIE_OPTIONS, 10 * COOKIE_PERIOD_MS + 5)
  assert.equal(isExpected(cookies, 10 * COOKIE_PERIOD_MS + 5), true)
  assert.equal(isExpected(cookies, 12 * COOKIE_PERIOD_MS - 1), true)
  assert.equal(isExpected(cookies, 12 * COOKIE_PERIOD_MS), false)
})

test('options ride in a timestamp that is not in the future and less than 64 ms in the past', () => {
  fc.assert(
    fc.property(
      int32,
      fc.integer({ min: -1, max: 14 }),
      fc.boolean(),
      fc.boolean(),
      (tsClock, scale, sack, ecn) => {
        const options = cookieOptions(scale, sack, ecn)
        const tsVal = cookieTsVal(tsClock, options)
        assert.equal(tsVal, tsVal | 0)
        assert.ok(!lt(tsClock, tsVal))
        assert.ok(lt((tsClock - 64) | 0, tsVal))
        assert.equal(optionsOf(tsVal), options)
        assert.equal(windowScaleOf(options), scale)
        assert.equal(hasSack(options), sack)
        assert.equal(hasEcn(options), ecn)
      },
    ),
    { seed: 2, numRuns: 5000 },
  )
})

test('more hash than a cookie has room for is refused', () => {
  assert.throws(() => cookiesOf(1, 29))
  assert.throws(() => cookiesOf(1, 0))
})
