/**
 * Stale answers: while we ask (RFC 5861 §3), when the origin fails (§4), and when they are
 * forbidden.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OriginError } from '../src/cache/origin.ts'
import { gate, type Headers, type Reply, Scene, settle } from './kit/cacheOrigin.ts'

const cc = (value: string): Headers => [['Cache-Control', value]]
const DOWN: Reply = { error: new OriginError('down', 'gone') }
const UNAVAILABLE: Reply = { status: 503, body: 'busy' }

/** A scene that has stored "old" and whose origin now answers with `then`. */
async function stored(value: string, then: Reply, more: Headers = []): Promise<Scene> {
  const scene = new Scene(() => ({ fields: [...cc(value), ...more], body: 'old' }))
  await scene.get()
  scene.origin.script = () => then
  return scene
}

test('RFC 5861 §3: a stale answer at once, and a fresh one for the next', async () => {
  const scene = await stored('max-age=1, stale-while-revalidate=10', {
    fields: cc('max-age=1, stale-while-revalidate=10'),
    body: 'new',
  })
  scene.pass(5)
  const answer = await scene.get()
  assert.equal(answer.text, 'old')
  assert.equal(answer.cacheStatus, 'sandstorm; hit; ttl=-4')
  assert.equal((await scene.get()).text, 'new')
  assert.equal(scene.asked, 2)
})

test('RFC 5861 §3: many stale hits ask once, and nobody waits', async () => {
  const held = gate()
  const scene = await stored('max-age=1, stale-while-revalidate=10', {
    head: held.promise,
    fields: cc('max-age=1'),
    body: 'new',
  })
  scene.pass(5)
  for (let i = 0; i < 20; i++) assert.equal((await scene.get()).text, 'old')
  assert.equal(scene.asked, 2)
  held.open()
  await settle()
  assert.equal((await scene.get()).text, 'new')
})

test('RFC 5861 §3: with s-maxage as well; not past its time, nor against must-revalidate', async () => {
  const fresh: Reply = { fields: cc('max-age=9'), body: 'new' }
  const both = await stored('s-maxage=1, stale-while-revalidate=10', fresh)
  both.pass(5)
  assert.equal((await both.get()).text, 'old')
  const late = await stored('max-age=1, stale-while-revalidate=10', fresh)
  late.pass(11)
  assert.equal((await late.get()).text, 'new')
  const strict = await stored('max-age=1, must-revalidate, stale-while-revalidate=10', fresh)
  strict.pass(5)
  assert.equal((await strict.get()).text, 'new')
})

test('RFC 5861 §3: a fetch in the background that fails leaves what is stored', async () => {
  const scene = await stored('max-age=1, stale-while-revalidate=10', DOWN)
  scene.pass(5)
  assert.equal((await scene.get()).text, 'old')
  assert.equal((await scene.get()).text, 'old')
  assert.equal(scene.asked, 3)
})

for (const [value, then, pass, expected] of [
  ['max-age=1, stale-if-error=10', DOWN, 5, 'old'],
  ['max-age=1, stale-if-error=10', UNAVAILABLE, 5, 'old'],
  ['max-age=1, stale-if-error=10', UNAVAILABLE, 20, 503],
  ['max-age=1, stale-if-error=10', { status: 404 }, 5, 404],
  ['s-maxage=1, stale-if-error=10', DOWN, 5, 'old'],
  ['max-age=1', DOWN, 5, 'old'],
  ['max-age=1', { error: new OriginError('timeout', '') }, 5, 'old'],
  ['max-age=1', { error: new OriginError('bad', '') }, 5, 'old'],
  ['max-age=1', UNAVAILABLE, 5, 503],
  ['max-age=1', DOWN, 90_000, 504],
  ['max-age=1, must-revalidate', DOWN, 5, 504],
  ['max-age=1, must-revalidate, stale-if-error=10', DOWN, 5, 504],
  ['max-age=1, proxy-revalidate', DOWN, 5, 504],
  ['max-age=1, no-cache', DOWN, 5, 504],
  ['s-maxage=1', DOWN, 5, 504],
] as [string, Reply, number, string | number][]) {
  const failure = then.error ? `${(then.error as OriginError).failure}` : `a ${then.status}`
  test(`RFC 9111 §4.2.4, RFC 5861 §4: "${value}", ${failure} after ${pass} s: ${expected}`, async () => {
    const scene = await stored(value, then, [['ETag', '"v1"']])
    scene.pass(pass)
    const answer = await scene.get()
    if (typeof expected === 'string')
      assert.deepEqual([answer.status, answer.text], [200, expected])
    else assert.equal(answer.status, expected)
    if (expected === 'old') assert.match(answer.cacheStatus, /fwd=stale.*ttl=-4; detail=/)
    const left = expected === 404 ? 0 : 1 // a 404 is an answer, and takes the place of the other
    assert.equal(scene.cache.store.stats.entries, left)
  })
}

for (const [failure, status] of [
  ['down', 502],
  ['bad', 502],
  ['timeout', 504],
  ['busy', 503],
] as const) {
  test(`RFC 9110 §15.6: without anything stored, "${failure}" is ${status}`, async () => {
    const scene = new Scene(() => ({ error: new OriginError(failure, '') }))
    const answer = await scene.get()
    assert.equal(answer.status, status)
    assert.equal(answer.cacheStatus, `sandstorm; fwd=uri-miss; detail=${failure}`)
    const post = await scene.get('/a', [], { method: 'POST' })
    assert.deepEqual(
      [post.status, post.cacheStatus],
      [status, `sandstorm; fwd=method; detail=${failure}`],
    )
    const bypass = await scene.get('/a', [['If-Match', '"1"']])
    assert.equal(bypass.cacheStatus, `sandstorm; fwd=bypass; detail=${failure}`)
  })
}

test('RFC 5861 §4: an error with freshness of its own does not replace what hides it', async () => {
  const scene = await stored('max-age=1, stale-if-error=100', {
    ...UNAVAILABLE,
    fields: cc('max-age=10'),
  })
  scene.pass(5)
  assert.equal((await scene.get()).text, 'old')
  assert.equal((await scene.get()).text, 'old')
})

test('RFC 9111 §3.3: a body that breaks off is not stored, and its reader is told', async () => {
  const scene = new Scene(() => ({
    fields: cc('max-age=10'),
    body: 'half',
    bodyError: new OriginError('bad', 'cut'),
  }))
  await assert.rejects(scene.get(), OriginError)
  await settle()
  assert.equal(scene.cache.store.stats.entries, 0)
})

test('RFC 9111 §3.3: a body that is not as long as it said is not stored', async () => {
  const scene = new Scene(() => ({
    fields: [...cc('max-age=10'), ['Content-Length', '5']],
    body: 'half',
  }))
  await scene.get()
  assert.equal(scene.cache.store.stats.entries, 0)
})
