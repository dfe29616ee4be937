/**
 * What of a stored answer readers may give by themselves (content/hits.ts): one that is fresh, and
 * the same for everybody who asks for its URL.
 */
import { answerWith } from '../cache/answer.ts'
import { ageOf, type Entry, ttlOf } from '../cache/entry.ts'
import { type CacheRequest, without } from '../cache/message.ts'
import type { Head } from '../content/head.ts'
import type { HitPlan } from '../content/hits.ts'
import { CONNECTION_LEN, DATE_LEN, HEAD_LEN_MAX, HEAD_ROOM } from '../content/image.ts'
import { wireAnswer } from './wire.ts'

const PLAIN: CacheRequest = {
  method: 'GET',
  scheme: 'http',
  authority: '',
  target: '',
  fields: [],
  clientAddress: '',
}
const CLIENT = { method: 'GET', minor: 1, close: false }
/** Written anew for each answer. */
const PATCHED: ReadonlySet<string> = new Set(['age'])
const KEY = /^http:\/\/([^/]*)(\/.*)$/s
/** Worth a place: one that is stale in a moment is better decided on each time. */
const TTL_MIN_SEC = 1

/** undefined: it needs a decision for each request. `name`: of the cache, in Cache-Status. */
export function hitPlan(
  entry: Entry,
  site: number,
  name: string,
  serverName: string,
  nowMs: number,
): HitPlan | undefined {
  const [, host, target] = KEY.exec(entry.key) ?? []
  const ttlSec = ttlOf(entry, nowMs)
  const isPlain = entry.status === 200 && entry.varyNames.length === 0 && host !== undefined
  if (!isPlain || ttlSec < TTL_MIN_SEC || entry.control.directives.has('no-cache')) return undefined
  const outcome = answerWith(entry, PLAIN, nowMs, name, { forward: '' })
  const fields = without(outcome.fields, PATCHED)
  const head = hitHead(wireAnswer({ ...outcome, fields }, CLIENT, serverName, nowMs).head)
  if (head === undefined) return undefined
  const nowSec = Math.floor(nowMs / 1000)
  return {
    site,
    host: Buffer.from(host, 'latin1'),
    target: Buffer.from(target, 'latin1'),
    head,
    body: entry.body,
    expiresSec: nowSec + Math.floor(ttlSec),
    ageSinceSec: nowSec - Math.floor(ageOf(entry, nowMs)),
  }
}

/**
 * The head with its patched fields in front, as wide as those of a file's (image.ts); undefined: it
 * is longer than an image's may be. Age stands where a file's Date does, spaces before it
 * (RFC 9110 §5.5).
 */
function hitHead(bytes: Uint8Array): Head | undefined {
  const [line, ...lines] = Buffer.from(bytes).toString('latin1').split('\r\n')
  const rest = lines.filter(text => !text.startsWith('Connection: ')).join('\r\n')
  const first = `${line}\r\nAge: `
  const second = `${'\0'.repeat(DATE_LEN)}\r\nConnection: `
  const front = `${first}${second}${'\0'.repeat(CONNECTION_LEN)}\r\n`
  if (front.length > HEAD_ROOM || front.length + rest.length > HEAD_LEN_MAX) return undefined
  return {
    status: 200,
    text: front + rest,
    dateOff: first.length,
    connectionOff: first.length + second.length,
    typeOff: front.length,
    restOff: front.length,
    etagOff: 0,
  }
}
