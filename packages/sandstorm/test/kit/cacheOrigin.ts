/**
 * An origin without sockets for tests of the cache: it answers from a script, and keeps what it was
 * asked. Time is a number that the test sets.
 */

import type { Outcome } from '../../src/cache/answer.ts'
import { Cache } from '../../src/cache/cache.ts'
import type { CacheConfig } from '../../src/cache/config.ts'
import type { CacheRequest, Field } from '../../src/cache/message.ts'
import type { Origin, OriginAnswer } from '../../src/cache/origin.ts'

/** 2026-11-28T12:00:00Z. */
export const START_MS: number = Date.UTC(2026, 10, 28, 12)

export type Headers = readonly (readonly [string, string])[]

export interface Reply {
  status?: number
  fields?: Headers
  body?: string
  /** Thrown instead of an answer. */
  error?: Error
  /** Thrown behind the body. */
  bodyError?: Error
  /** The head comes when this resolves. */
  head?: Promise<void>
  /** The body comes when this resolves. */
  rest?: Promise<void>
}

export type Script = (request: CacheRequest, count: number) => Reply

export class FakeOrigin implements Origin {
  readonly asked: CacheRequest[] = []
  cancelled = 0
  script: Script
  constructor(script: Script) {
    this.script = script
  }

  async fetch(request: CacheRequest): Promise<OriginAnswer> {
    this.asked.push(request)
    const reply = this.script(request, this.asked.length)
    await reply.head
    if (reply.error) throw reply.error
    return {
      status: reply.status ?? 200,
      fields: reply.fields ?? [],
      body: this.#body(reply),
      cancel: () => {
        this.cancelled++
      },
    }
  }

  async *#body(reply: Reply): AsyncGenerator<Uint8Array> {
    await reply.rest
    if (reply.body) yield Buffer.from(reply.body)
    if (reply.bodyError) throw reply.bodyError
  }
}

export interface Answer {
  status: number
  text: string
  cacheStatus: string
  get(name: string): string | undefined
}

/** A cache before a scripted origin, and a clock. */
export class Scene {
  nowMs: number = START_MS
  readonly origin: FakeOrigin
  readonly cache: Cache

  constructor(script: Script, config: Partial<CacheConfig> = {}) {
    this.origin = new FakeOrigin(script)
    this.cache = new Cache(this.origin, config, () => this.nowMs)
  }

  get asked(): number {
    return this.origin.asked.length
  }

  pass(sec: number): void {
    this.nowMs += sec * 1000
  }

  start(target = '/a', fields: Headers = [], more: Partial<CacheRequest> = {}): Promise<Outcome> {
    return this.cache.handle(makeRequest(target, fields, more), this.nowMs)
  }

  /** One request, to the end of its answer, and until what it stores is stored. */
  async get(
    target = '/a',
    fields: Headers = [],
    more: Partial<CacheRequest> = {},
  ): Promise<Answer> {
    const answer = await readAnswer(await this.start(target, fields, more))
    await settle()
    return answer
  }
}

export function makeRequest(
  target: string,
  fields: Headers = [],
  more: Partial<CacheRequest> = {},
): CacheRequest {
  const base = { method: 'GET', scheme: 'http', authority: 'example.org' } as const
  return { ...base, target, fields: fields as Field[], clientAddress: '192.0.2.1', ...more }
}

export async function readAnswer(outcome: Outcome): Promise<Answer> {
  const { status, fields, body, cacheStatus } = outcome
  const parts: Uint8Array[] = []
  if (body instanceof Uint8Array) parts.push(body)
  else for await (const part of body) parts.push(part)
  const get = (name: string): string | undefined =>
    fields.find(([n]) => n.toLowerCase() === name.toLowerCase())?.[1]
  return { status, text: Buffer.concat(parts).toString(), cacheStatus, get }
}

/** Lets everything that waits for nothing outside run to its end. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise(resolve => setImmediate(resolve))
}

/** A promise and its resolve, to hold something back. */
export function gate(): { promise: Promise<void>; open: () => void } {
  let open = (): void => {}
  const promise = new Promise<void>(resolve => {
    open = resolve
  })
  return { promise, open }
}
