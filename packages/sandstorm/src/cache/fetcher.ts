/**
 * One fetch from the origin and what becomes of its answer: it freshens what is stored (RFC 9111
 * §4.3.3), is stored while it is read, or belongs to the client that asked alone.
 */

import { CONDITIONS } from './conditions.ts'
import type { CacheConfig } from './config.ts'
import type { Directives } from './directives.ts'
import { type Entry, hasValidator, makeEntry } from './entry.ts'
import type { Times } from './freshness.ts'
import { dated, endToEnd, storable, withVia } from './hopByHop.ts'
import { formatHttpDate } from './httpDate.ts'
import { secondaryKey, varyNamesOf } from './key.ts'
import {
  type CacheRequest,
  type Field,
  firstValue,
  hasField,
  type ResponseHead,
  without,
} from './message.ts'
import type { Origin, OriginAnswer } from './origin.ts'
import { isErrorStatus, mayStandIn, type StoreReason, whyNotStored } from './policy.ts'
import { FillBudget, SharedBody } from './sharedBody.ts'
import type { Store, Ticket } from './store.ts'
import { describes, freshened, isAbout } from './update.ts'

/** Why an answer is not shared: the policy's reasons, and ours. */
export type OwnReason = Exclude<StoreReason, ''> | 'too-large' | 'purged' | 'error'

export type Fetched =
  /** The origin said 304: a stored response is good. */
  | { readonly kind: 'validated'; readonly entry: Entry; readonly varyNames: readonly string[] }
  /** It is being stored, and all may read it that its Vary selects. */
  | {
      readonly kind: 'shared'
      readonly head: ResponseHead
      readonly responseMs: number
      readonly varyNames: readonly string[]
      readonly secondary: string
      readonly body: SharedBody
      /** Resolves when it is stored, or will never be. */
      readonly settled: Promise<unknown>
    }
  /** For the request that began the fetch. */
  | {
      readonly kind: 'own'
      readonly head: ResponseHead
      readonly reason: OwnReason
      readonly answer: OriginAnswer
      readonly varyNames: readonly string[]
      /** The origin has seen the client's own conditions. */
      readonly isJudged: boolean
    }

export interface Task {
  readonly request: CacheRequest
  readonly directives: Directives
  readonly key: string
  /** What is to be validated. */
  readonly stored: Entry | undefined
  /** Send the client's own conditions and range on: nobody else gets the answer. */
  readonly keepsConditions: boolean
  /** Called once when nobody can join any more. */
  land(): void
}

interface Asked {
  readonly answer: OriginAnswer
  readonly head: ResponseHead
  readonly times: Times
}

export class Fetcher {
  readonly budget: FillBudget
  readonly #origin: Origin
  readonly #store: Store
  readonly #config: CacheConfig
  readonly #nowMs: () => number

  constructor(origin: Origin, store: Store, config: CacheConfig, nowMs: () => number) {
    this.budget = new FillBudget(config.fillBytes)
    this.#origin = origin
    this.#store = store
    this.#config = config
    this.#nowMs = nowMs
  }

  /** Rejects with the origin's OriginError. */
  async fetch(task: Task): Promise<Fetched> {
    const ticket = this.#store.begin(task.key)
    let isKept = false
    try {
      const fetched = await this.#fetch(task, ticket)
      if (fetched.kind === 'shared') {
        isKept = true
        fetched.settled.finally(() => this.#finish(task, ticket))
      }
      return fetched
    } finally {
      if (!isKept) this.#finish(task, ticket)
    }
  }

  #finish(task: Task, ticket: Ticket): void {
    this.#store.end(ticket)
    task.land()
  }

  async #fetch(task: Task, ticket: Ticket): Promise<Fetched> {
    const { stored, request } = task
    let asked = await this.#ask(task, stored)
    const isHead = request.method === 'HEAD'
    if (asked.head.status === 304 && stored !== undefined && !isHead && !task.keepsConditions) {
      if (isAbout(stored, asked.head.fields)) return this.#validated(task, ticket, stored, asked)
      asked = await this.#ask(task, undefined)
    }
    if (isHead && stored !== undefined) this.#learnFromHead(task, ticket, stored, asked)
    const reason = this.#whyOwn(task, ticket, asked)
    if (reason === '') return this.#share(task, ticket, asked)
    const isReplaced = asked.head.status < 500 && reason !== 'method' && reason !== 'partial'
    if (stored !== undefined && isReplaced && asked.head.status !== 304) this.#store.drop(stored)
    return this.#own(task, asked, reason)
  }

  async #ask(task: Task, stored: Entry | undefined): Promise<Asked> {
    const requestMs = this.#nowMs()
    const answer = await this.#origin.fetch(this.#conditional(task, stored))
    const responseMs = this.#nowMs()
    const fields = withVia(dated(endToEnd(answer.fields), responseMs), this.#config.name)
    return { answer, head: { status: answer.status, fields }, times: { requestMs, responseMs } }
  }

  /** The request with our conditions in place of the client's (RFC 9111 §4.3.1). */
  #conditional(task: Task, stored: Entry | undefined): CacheRequest {
    const { request, keepsConditions } = task
    if (keepsConditions) return request
    const fields: Field[] = without(request.fields, CONDITIONS)
    if (stored !== undefined && request.method === 'GET' && hasValidator(stored)) {
      if (stored.etag !== '') fields.push(['If-None-Match', stored.etag])
      if (!Number.isNaN(stored.modifiedMs)) {
        const said = firstValue(stored.fields, 'last-modified')
        fields.push(['If-Modified-Since', said ?? formatHttpDate(stored.modifiedMs)])
      }
    }
    return { ...request, fields }
  }

  #whyOwn(task: Task, ticket: Ticket, asked: Asked): OwnReason | '' {
    const { head, times } = asked
    const { request, directives, stored } = task
    // With a body, the URL alone does not say what was asked for.
    if (request.body !== undefined) return 'method'
    const isAuthorized = hasField(request.fields, 'authorization')
    const by = { method: request.method, directives, isAuthorized }
    const reason = whyNotStored(by, head, times.responseMs, this.#config)
    if (reason !== '') return reason
    const isError = isErrorStatus(head.status) && stored !== undefined
    if (isError && mayStandIn(stored, 'status', directives, times.responseMs, this.#config)) {
      return 'error'
    }
    const length = Number(firstValue(head.fields, 'content-length') ?? 0)
    if (length > this.#config.objectBytes) return 'too-large'
    return this.#store.isCurrent(ticket, head.fields) ? '' : 'purged'
  }

  #share(task: Task, ticket: Ticket, asked: Asked): Fetched {
    const { head, times, answer } = asked
    const varyNames = varyNamesOf(head.fields)
    const secondary = secondaryKey(varyNames, task.request.fields)
    const body = new SharedBody(answer, this.#config.objectBytes, this.budget)
    const identity = { key: task.key, varyNames, secondary }
    const settled = body.whole.then(bytes => {
      if (bytes === undefined || !hasPromisedLength(head, bytes)) return
      if (!this.#store.isCurrent(ticket, head.fields)) return
      const kept = { status: head.status, fields: storable(head.fields, this.#config) }
      const entry = makeEntry({ ...identity, body: bytes }, kept, times, this.#config)
      // Under another Vary, the one that was to be validated would go on answering.
      if (this.#store.put(entry) && task.stored !== undefined) this.#store.drop(task.stored)
    }, ignore)
    const { responseMs } = times
    return { kind: 'shared', head, responseMs, varyNames, secondary, body, settled }
  }

  #own(task: Task, { head, answer }: Asked, reason: OwnReason): Fetched {
    const varyNames = varyNamesOf(head.fields)
    return { kind: 'own', head, reason, answer, varyNames, isJudged: task.keepsConditions }
  }

  #validated(task: Task, ticket: Ticket, stored: Entry, asked: Asked): Fetched {
    const entry = this.#freshen(task, stored, asked)
    const isAuthorized = hasField(task.request.fields, 'authorization')
    const by = { method: 'GET', directives: task.directives, isAuthorized }
    const reason = whyNotStored(by, entry, entry.responseMs, this.#config)
    if (reason === 'request-no-store') {
      // The client keeps its own traces out of the store; what is there may stay.
      return { kind: 'validated', entry, varyNames: entry.varyNames }
    }
    const isCurrent = this.#store.isCurrent(ticket, entry.fields)
    this.#store.drop(stored)
    if (reason !== '' || !isCurrent) {
      const answer = { ...entry, body: once(entry.body), cancel: ignore }
      return this.#own(task, { ...asked, head: entry, answer }, reason === '' ? 'purged' : reason)
    }
    this.#store.put(entry)
    return { kind: 'validated', entry, varyNames: entry.varyNames }
  }

  #freshen(task: Task, stored: Entry, asked: Asked): Entry {
    const entry = freshened(stored, asked.head.fields, asked.times, this.#config)
    const varyNames = varyNamesOf(entry.fields)
    return { ...entry, varyNames, secondary: secondaryKey(varyNames, task.request.fields) }
  }

  /** RFC 9111 §4.3.5; a resource that is gone answers no more, either. */
  #learnFromHead(task: Task, ticket: Ticket, stored: Entry, asked: Asked): void {
    const { head, times } = asked
    const by = { method: 'GET', directives: task.directives, isAuthorized: false }
    const isGood = describes(head, stored) && this.#store.isCurrent(ticket, head.fields)
    if (isGood && whyNotStored(by, head, times.responseMs, this.#config) === '') {
      const entry = this.#freshen(task, stored, asked)
      this.#store.drop(stored)
      this.#store.put(entry)
    } else if ([200, 404, 410].includes(head.status)) this.#store.drop(stored)
  }
}

/** undici has counted as well; this holds for any origin. */
function hasPromisedLength(head: ResponseHead, bytes: Uint8Array): boolean {
  const length = firstValue(head.fields, 'content-length')
  return length === undefined || Number(length) === bytes.length
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

function ignore(): void {}
