/** Single flight, purges while a fetch is under way, and clients that leave. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome } from '../src/cache/answer.ts'
import { fieldValue } from '../src/cache/message.ts'
import { OriginError } from '../src/cache/origin.ts'
import { gate, type Headers, readAnswer, Scene, settle } from './kit/cacheOrigin.ts'

const FRESH: Headers = [['Cache-Control', 'max-age=10']]

test('200 requests for one missing URL are one fetch, and read its body as it comes', async () => {
  const head = gate()
  const rest = gate()
  const scene = new Scene(() => ({
    fields: FRESH,
    body: 'x',
    head: head.promise,
    rest: rest.promise,
  }))
  const started = Array.from({ length: 200 }, () => scene.start())
  await settle()
  head.open()
  const outcomes = await Promise.all(started)
  assert.equal(scene.asked, 1)
  const late = await scene.start() // the head has come, the body has not
  rest.open()
  const answers = await Promise.all([...outcomes, late].map(readAnswer))
  assert.ok(answers.every(answer => answer.text === 'x'))
  const collapsed = answers.filter(answer => /; collapsed/.test(answer.cacheStatus))
  assert.equal(collapsed.length, 200)
  assert.equal(answers[0].cacheStatus, 'sandstorm; fwd=uri-miss; fwd-status=200; ttl=10; stored')
  await settle()
  assert.match((await scene.get()).cacheStatus, /hit/)
  assert.equal(scene.asked, 1)
})

test('an answer that is not to be stored sends all waiters on at once, none behind another', async () => {
  const head = gate()
  const others = gate()
  const scene = new Scene((_request, count) => ({
    fields: [['Cache-Control', 'private']],
    body: `${count}`,
    head: count === 1 ? head.promise : others.promise,
  }))
  const started = Array.from({ length: 20 }, () => scene.start())
  await settle()
  assert.equal(scene.asked, 1)
  head.open()
  await settle()
  assert.equal(scene.asked, 20)
  others.open()
  const answers = await Promise.all((await Promise.all(started)).map(readAnswer))
  assert.equal(new Set(answers.map(answer => answer.text)).size, 20)
  // For a while, nobody waits for such an answer, and conditions pass through.
  const next = scene.start('/a', [['If-None-Match', '"v1"']])
  assert.equal(fieldValue(scene.origin.asked[20].fields, 'if-none-match'), '"v1"')
  await next
})

test('RFC 9111 §5.2.2.7: a field that is private for one client reaches no other that waits', async () => {
  const head = gate()
  const fields: Headers = [
    ['Cache-Control', 'max-age=10, private="Set-Cookie", no-cache="B"'],
    ['Set-Cookie', 'session=1'],
    ['B', '1'],
    ['ETag', '"v1"'],
  ]
  const scene = new Scene(() => ({ fields, body: 'x', head: head.promise }))
  const started = [[], [], [['If-None-Match', '"v1"']] as Headers].map(f => scene.start('/a', f))
  await settle()
  head.open()
  const answers = await Promise.all((await Promise.all(started)).map(readAnswer))
  assert.equal(scene.asked, 1)
  assert.deepEqual(
    answers.map(answer => [answer.status, answer.get('Set-Cookie'), answer.get('B')]),
    [
      [200, 'session=1', '1'],
      [200, undefined, undefined],
      [304, undefined, undefined],
    ],
  )
})

test('RFC 9111 §4.1: waiters that Vary does not select go on by themselves', async () => {
  const head = gate()
  const scene = new Scene((request, count) => ({
    fields: [...FRESH, ['Vary', 'foo']],
    body: fieldValue(request.fields, 'foo') ?? '',
    ...(count === 1 ? { head: head.promise } : {}),
  }))
  const started = [0, 1, 2, 3, 4, 5].map(i => scene.start('/a', [['foo', `${i % 3}`]]))
  await settle()
  head.open()
  const answers = await Promise.all((await Promise.all(started)).map(readAnswer))
  assert.deepEqual(
    answers.map(answer => answer.text),
    ['0', '1', '2', '0', '1', '2'],
  )
  assert.equal(scene.asked, 3)
})

test('a failure reaches everybody who waits for it, without further tries', async () => {
  const head = gate()
  const error = new OriginError('down', 'gone')
  const scene = new Scene(() => ({ head: head.promise, error }))
  const started = Array.from({ length: 10 }, () => scene.start())
  await settle()
  head.open()
  for (const outcome of await Promise.all(started)) assert.equal(outcome.status, 502)
  assert.equal(scene.asked, 1)
})

test('RFC 9111 §4.3.3: stale hits that wait share one validation', async () => {
  const scene = new Scene(() => ({ fields: [...FRESH, ['ETag', '"v1"']], body: 'x' }))
  await scene.get()
  scene.pass(10)
  const head = gate()
  scene.origin.script = () => ({ status: 304, head: head.promise })
  const started = Array.from({ length: 10 }, () => scene.start())
  await settle()
  head.open()
  const answers = await Promise.all((await Promise.all(started)).map(readAnswer))
  assert.ok(answers.every(answer => answer.text === 'x'))
  assert.equal(scene.asked, 2)
})

test('a client that leaves does not end the fetch of what can be stored', async () => {
  const head = gate()
  const scene = new Scene(() => ({ fields: FRESH, body: 'x', head: head.promise }))
  const leaving = new AbortController()
  const started = scene.start('/a', [], { signal: leaving.signal })
  await settle()
  leaving.abort()
  await assert.rejects(started)
  head.open()
  await settle()
  assert.equal(scene.origin.cancelled, 0)
  assert.match((await scene.get()).cacheStatus, /hit/)
})

test('a client that leaves ends the fetch of what cannot be stored', async () => {
  const head = gate()
  const scene = new Scene(() => ({ body: 'x', head: head.promise }))
  const leaving = new AbortController()
  const started = scene.start('/a', [], { signal: leaving.signal })
  await settle()
  leaving.abort()
  await assert.rejects(started)
  head.open()
  await settle()
  assert.equal(scene.origin.cancelled, 1)
})

for (const [what, purge] of [
  ['its URL', (s: Scene) => s.cache.purge('http://example.org/a')],
  ['its tag', (s: Scene) => s.cache.purgeTag('t1')],
  ['everything', (s: Scene) => s.cache.purgeAll()],
  ['its URL, softly', (s: Scene) => s.cache.purge('http://example.org/a', 'stale')],
  ['its URL by a POST', (s: Scene) => s.get('/a', [], { method: 'POST' })],
] as [string, (s: Scene) => unknown][]) {
  test(`a fetch that began before a purge of ${what} stores nothing, and nobody joins it`, async () => {
    const [head, rest] = [gate(), gate()]
    const fields: Headers = [...FRESH, ['Cache-Tag', 't0, t1']]
    const scene = new Scene((request, count) =>
      count === 1 && request.method === 'GET'
        ? { fields, body: 'before', head: head.promise, rest: rest.promise }
        : { fields, body: 'after' },
    )
    const before = scene.start()
    await settle()
    await purge(scene)
    const after = await scene.get()
    head.open()
    rest.open()
    assert.equal(after.text, 'after')
    assert.equal((await readAnswer(await before)).text, 'before')
    await settle()
    const last = await scene.get()
    assert.deepEqual([last.text, last.cacheStatus.includes('hit')], ['after', true])
  })
}

test('another purge does not keep a fetch from storing', async () => {
  const head = gate()
  const fields: Headers = [...FRESH, ['Surrogate-Key', 'a b']]
  const scene = new Scene(() => ({ fields, body: 'x', head: head.promise }))
  const started = scene.start()
  await settle()
  scene.cache.purge('http://example.org/b')
  scene.cache.purgeTag('c')
  head.open()
  await readAnswer(await started)
  await settle()
  assert.match((await scene.get()).cacheStatus, /hit/)
})

test('a soft purge makes stale: validated at the next use, served if the origin is down', async () => {
  const scene = new Scene(() => ({ fields: [...FRESH, ['ETag', '"1"']], body: 'x' }))
  await scene.get()
  assert.equal(scene.cache.purge('http://EXAMPLE.org:80/a', 'stale'), 1)
  scene.origin.script = () => ({ error: new OriginError('down', '') })
  assert.equal((await scene.get()).text, 'x')
  scene.origin.script = () => ({ status: 304 })
  assert.match((await scene.get()).cacheStatus, /fwd=stale; fwd-status=304/)
  assert.match((await scene.get()).cacheStatus, /hit/)
})

test('a body that grows too large streams through a window, and nobody joins it', async () => {
  const objectBytes = 1000
  const scene = new Scene(() => ({ fields: FRESH, body: 'x'.repeat(1001) }), { objectBytes })
  const [a, b] = await Promise.all([scene.start(), scene.start()])
  const answers = await Promise.all([a, b].map(readAnswer))
  assert.ok(answers.every(answer => answer.text.length === 1001))
  await settle()
  assert.equal(scene.cache.store.stats.entries, 0)
})

test('a body whose length says that it is too large is fetched by each client', async () => {
  const fields: Headers = [...FRESH, ['Content-Length', '1001']]
  const scene = new Scene(() => ({ fields, body: 'x'.repeat(1001) }), { objectBytes: 1000 })
  const outcomes: Outcome[] = await Promise.all([scene.start(), scene.start(), scene.start()])
  for (const outcome of outcomes) assert.equal((await readAnswer(outcome)).text.length, 1001)
  assert.equal(scene.asked, 3)
  assert.match(outcomes[0].cacheStatus, /detail=too-large/)
})
