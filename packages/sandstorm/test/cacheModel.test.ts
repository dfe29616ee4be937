/**
 * Any order of requests, changes at the origin, purges, failures and time: an answer belongs to its
 * URL and variant, is no older than the origin allowed, and never from before a purge.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fieldValue } from '../src/cache/message.ts'
import { OriginError } from '../src/cache/origin.ts'
import { type Headers, type Reply, Scene } from './kit/cacheOrigin.ts'

const MAX_AGE_SEC = 10
const MEMORY_BYTES = 8000

interface Body {
  target: string
  foo: string
  version: number
}

/** A site of two URLs, whose versions count up. */
class Site {
  readonly scene: Scene
  isDown = false
  readonly #version = new Map<string, number>()
  /** When each version was replaced; `target version`. */
  readonly #replacedMs = new Map<string, number>()
  /** The oldest version that may be seen, by URL. */
  readonly #floor = new Map<string, number>()

  constructor() {
    const config = { memoryBytes: MEMORY_BYTES, objectBytes: 2000, fillBytes: 4000 }
    this.scene = new Scene(request => this.#reply(request.target, request.fields), config)
  }

  version(target: string): number {
    return this.#version.get(target) ?? 0
  }

  change(target: string): void {
    this.#replacedMs.set(`${target} ${this.version(target)}`, this.scene.nowMs)
    this.#version.set(target, this.version(target) + 1)
  }

  purge(target: string): void {
    this.scene.cache.purge(`http://example.org${target}`)
    this.#floor.set(target, this.version(target))
  }

  async get(target: string, foo: string, more: Headers): Promise<void> {
    const answer = await this.scene.get(target, [['foo', foo], ...more])
    if (answer.status >= 500) {
      assert.ok(this.isDown)
      return
    }
    const body: Body = JSON.parse(answer.text)
    assert.deepEqual([body.target, body.foo], [target, foo])
    assert.ok(body.version >= (this.#floor.get(target) ?? 0), 'from before a purge')
    const replacedMs = this.#replacedMs.get(`${target} ${body.version}`) ?? this.scene.nowMs
    const staleMs = this.scene.nowMs - replacedMs
    if (!this.isDown) assert.ok(staleMs < MAX_AGE_SEC * 1000 || staleMs === 0, `stale: ${staleMs}`)
    if (more.length > 0 && !this.isDown) assert.equal(body.version, this.version(target))
    assert.ok(this.scene.cache.store.stats.bytes <= MEMORY_BYTES)
  }

  #reply(target: string, fields: Headers): Reply {
    if (this.isDown) return { error: new OriginError('down', '') }
    const etag = `"${this.version(target)}"`
    const head: Headers = [
      ['Cache-Control', `max-age=${MAX_AGE_SEC}`],
      ['Vary', 'foo'],
      ['ETag', etag],
    ]
    if (fieldValue(fields, 'if-none-match') === etag) return { status: 304, fields: head }
    const foo = fieldValue(fields, 'foo') ?? ''
    const body: Body = { target, foo, version: this.version(target) }
    return { fields: head, body: JSON.stringify(body) }
  }
}

const step = fc.record({
  kind: fc.constantFrom(
    'get',
    'get',
    'get',
    'get',
    'reload',
    'change',
    'purge',
    'pass',
    'fail',
    'mend',
  ),
  target: fc.constantFrom('/a', '/b'),
  foo: fc.constantFrom('1', '2'),
  sec: fc.nat(6),
})
const steps = fc.array(step, { minLength: 60, maxLength: 60 })

test('no order of events makes a wrong answer', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async events => {
      const site = new Site()
      for (const { kind, target, foo, sec } of events) {
        if (kind === 'get') await site.get(target, foo, [])
        else if (kind === 'reload') await site.get(target, foo, [['Cache-Control', 'no-cache']])
        else if (kind === 'change') site.change(target)
        else if (kind === 'purge') site.purge(target)
        else if (kind === 'pass') site.scene.pass(sec)
        else site.isDown = kind === 'fail'
      }
    }),
    { numRuns: 200 },
  )
})
