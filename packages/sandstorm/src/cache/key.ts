/**
 * Cache keys (RFC 9111 §2, §4.1). The primary key is the URL, the method being GET; the secondary
 * key is what the fields that Vary names said in the request, brought to a normal form in which
 * equal meaning is equal text.
 */
import { type CacheRequest, type Fields, fieldNames, fieldValue } from './message.ts'

/** Lists of choices with weights, whose order says nothing (RFC 9110 §12.5). */
const WEIGHTED: ReadonlySet<string> = new Set([
  'accept-encoding',
  'accept-language',
  'accept-charset',
])
const DEFAULT_PORT = /^(http:.*):80$|^(https:.*):443$/
/** No field value has it, so secondary keys cannot be forged with it. */
const END = '\n'

/** The URL, with its host in lower case and its default port left out (RFC 9110 §4.2.3). */
export function primaryKey(scheme: string, authority: string, target: string): string {
  const origin = `${scheme}://${authority.toLowerCase().replace(/\.(?=:\d*$|$)/, '')}`
  const plain = DEFAULT_PORT.exec(origin.replace(/:$/, ''))
  return `${plain?.[1] ?? plain?.[2] ?? origin.replace(/:$/, '')}${target}`
}

export function keyOf(request: CacheRequest): string {
  return primaryKey(request.scheme, request.authority, request.target)
}

/**
 * The key of a URL that a response names (RFC 9111 §4.4): absolute, or relative to the request's;
 * undefined if it is none, or of another origin, whose answers are not the sender's to judge.
 */
export function keyOfSameOrigin(reference: string, request: CacheRequest): string | undefined {
  const base = `${request.scheme}://${request.authority}`
  if (!URL.canParse(reference, `${base}${request.target}`)) return undefined
  const url = new URL(reference, `${base}${request.target}`)
  if (url.origin !== new URL(base).origin) return undefined
  return primaryKey(request.scheme, request.authority, url.pathname + url.search)
}

/** What the origin sees of these is our own, another for each client (forward.ts). */
const OF_EACH_CLIENT: ReadonlySet<string> = new Set(['*', 'x-forwarded-for', 'forwarded'])

/** The names of a Vary field, each once and in order; ['*'] if no other request can match. */
export function varyNamesOf(fields: Fields): string[] {
  const names = [...new Set(fieldNames(fieldValue(fields, 'vary')))].sort()
  return names.some(name => OF_EACH_CLIENT.has(name)) ? ['*'] : names
}

/** The secondary key of a request for the names of a Vary field. */
export function secondaryKey(names: readonly string[], fields: Fields): string {
  return names.map(name => normalValue(name, fieldValue(fields, name))).join(END)
}

/** A field that is missing only equals one that is missing (RFC 9111 §4.1). */
function normalValue(name: string, value: string | undefined): string {
  if (value === undefined) return '-'
  if (WEIGHTED.has(name)) return `=${normalWeights(name, value)}`
  return `=${value.replace(/[ \t]*,[ \t]*/g, ',').trim()}`
}

/** "br;q=1.0, GZIP" and "gzip,br" are one: lower case, plain weights, sorted. */
function normalWeights(name: string, value: string): string {
  const choices = value
    .toLowerCase()
    .split(',')
    .map(choice => normalChoice(name, choice.replace(/[ \t]/g, '')))
    .filter(choice => choice !== '')
  return [...new Set(choices)].sort().join(',')
}

function normalChoice(name: string, choice: string): string {
  const [word, ...parameters] = choice.split(';')
  const isOldName = name === 'accept-encoding' && /^x-(gzip|compress)$/.test(word)
  const coding = isOldName ? word.slice(2) : word // RFC 9110 §8.4.1
  const weight = parameters.length === 1 ? /^q=([01](?:\.\d{0,3})?)$/.exec(parameters[0]) : null
  if (weight === null) return [coding, ...parameters].join(';')
  return Number(weight[1]) === 1 ? coding : `${coding};q=${Number(weight[1])}`
}
