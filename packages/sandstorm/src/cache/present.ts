/**
 * From what a fetch brought to what the client gets: the stored response, the answer as it comes, a
 * 304 or a stale response in place of an error.
 */
import { answerWith, EMPTY, fieldsOf304, type Outcome, outcome, ownAnswer } from './answer.ts'
import type { Handling } from './cacheStatus.ts'
import { isNotModified } from './conditions.ts'
import type { CacheConfig } from './config.ts'
import type { Directives } from './directives.ts'
import { type Entry, ttlOf } from './entry.ts'
import type { Fetched, OwnReason } from './fetcher.ts'
import { controlOf, currentAge, lifetimeOf } from './freshness.ts'
import { storable } from './hopByHop.ts'
import type { CacheRequest } from './message.ts'
import type { PassList } from './passList.ts'
import { isErrorStatus, mayStandIn } from './policy.ts'

/** A request with what was found out about it. */
export interface Case {
  readonly request: CacheRequest
  readonly directives: Directives
  readonly key: string
  readonly stored: Entry | undefined
  readonly forward: Handling['forward']
}

export interface CacheStats {
  requests: number
  /** Answered without asking the origin first. */
  hits: number
  /** Of all answers, those with a stale response. */
  stale: number
  /** Answered with what another request had fetched. */
  collapsed: number
  forwarded: number
  /** Answered 5xx by ourselves. */
  errors: number
}

/** Reasons that will hold for the next request as well. */
const LASTING: ReadonlySet<OwnReason> = new Set<OwnReason>([
  ...(['no-store', 'private', 'vary', 'no-freshness', 'set-cookie', 'too-large'] as const),
])

/** Bytes that are read of a body nobody wants, to keep its connection. */
const DRAIN_BYTES = 64 * 1024

export class Presenter {
  readonly #config: CacheConfig
  readonly #nowMs: () => number
  readonly #stats: CacheStats
  readonly #passes: PassList

  constructor(config: CacheConfig, nowMs: () => number, stats: CacheStats, passes: PassList) {
    this.#config = config
    this.#nowMs = nowMs
    this.#stats = stats
    this.#passes = passes
  }

  /** A short answer of our own. */
  own(status: number, text: string, request: CacheRequest, handling: Handling): Outcome {
    return ownAnswer(status, text, request, this.#config.name, handling)
  }

  /** An answer to show, of our own fetch or of one that we joined. */
  present(fetched: Fetched, found: Case, isCollapsed: boolean): Outcome {
    const { request, forward } = found
    if (isCollapsed) this.#stats.collapsed++
    else this.#stats.forwarded++
    if (fetched.kind === 'validated') {
      const ttlSec = ttlOf(fetched.entry, this.#nowMs())
      const handling = { forward, forwardStatus: 304, ttlSec, isCollapsed }
      return this.answer(fetched.entry, found, handling)
    }
    const { head } = fetched
    if (fetched.kind === 'own') {
      if (this.standsIn(fetched, found)) {
        void drain(fetched.answer.body)
        return this.stale(found, head.status, 'error')
      }
      if (LASTING.has(fetched.reason)) this.#passes.add(found.key, this.#nowMs())
      const detail = fetched.reason
      return this.#stream(fetched, found, { forward, forwardStatus: head.status, detail })
    }
    const ttlSec = this.#ttlOfHead(fetched)
    const forwardStatus = head.status
    const handling: Handling = { forward, forwardStatus, ttlSec, isStored: true, isCollapsed }
    this.#passes.delete(found.key)
    // What is private, or not to be repeated, is for who asked the origin.
    const fields = isCollapsed ? storable(head.fields, this.#config) : head.fields
    if (isNotModified(request.fields, head, fetched.responseMs)) {
      fetched.body.open()
      return outcome(304, fieldsOf304(fields), EMPTY, this.#config.name, handling)
    }
    const body = fetched.body.read()
    onAbort(request.signal, () => void body.return?.())
    return outcome(head.status, fields, body, this.#config.name, handling)
  }

  #ttlOfHead(fetched: Fetched & { kind: 'shared' }): number {
    const { head, responseMs } = fetched
    const control = controlOf(head.fields, this.#config)
    const { sec } = lifetimeOf(head.status, head.fields, control, responseMs, this.#config)
    return sec - currentAge(head.fields, { requestMs: responseMs, responseMs }, this.#nowMs())
  }

  #stream(fetched: Fetched & { kind: 'own' }, found: Case, handling: Handling): Outcome {
    const { head, answer } = fetched
    if (!fetched.isJudged && isNotModified(found.request.fields, head, this.#nowMs())) {
      void drain(answer.body)
      return outcome(304, fieldsOf304(head.fields), EMPTY, this.#config.name, handling)
    }
    const hasNoBody = found.request.method === 'HEAD' || head.status === 204 || head.status === 304
    if (hasNoBody) void drain(answer.body)
    else onAbort(found.request.signal, () => answer.cancel())
    const body = hasNoBody ? EMPTY : answer.body
    return outcome(head.status, head.fields, body, this.#config.name, handling)
  }

  /** A stored response, as it answers this request. */
  answer(entry: Entry, found: Case, handling: Handling): Outcome {
    return answerWith(entry, found.request, this.#nowMs(), this.#config.name, handling)
  }

  /** Is the answer an error that a stored response may hide (RFC 5861 §4)? */
  standsIn(fetched: Fetched, found: Case): fetched is Fetched & { kind: 'own' } {
    const { stored, directives } = found
    if (stored === undefined || fetched.kind !== 'own') return false
    if (!isErrorStatus(fetched.head.status)) return false
    return mayStandIn(stored, 'status', directives, this.#nowMs(), this.#config)
  }

  /** The stored response in place of one that failed. */
  stale(found: Case, forwardStatus: number, detail: string): Outcome {
    this.#stats.stale++
    const ttlSec = ttlOf(found.stored!, this.#nowMs())
    const { forward } = found
    return this.answer(found.stored!, found, { forward, forwardStatus, ttlSec, detail })
  }
}

function onAbort(signal: AbortSignal | undefined, leaves: () => void): void {
  if (signal?.aborted) leaves()
  else signal?.addEventListener('abort', leaves, { once: true })
}

/** Reads a body to its end, so that its connection can be kept. */
async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > DRAIN_BYTES) return
    }
  } catch {
    // It was not wanted anyway.
  }
}
