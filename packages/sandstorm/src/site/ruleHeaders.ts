/**
 * Which fields a rule of a site may set (site.ts: Rule.headers; RFC 9110 §5.1, §5.5). Names are
 * tokens and values printable, so that no rule can end a line of the head; what frames the message,
 * and what says which bytes of which version they are, is ours alone.
 */

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Of the message or the connection (RFC 9110 §7.6.1, §8.6; RFC 9112 §6). */
const FRAMING: readonly string[] = [
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** What we know and a rule cannot: when, which version, which part, in which coding. */
const OURS: readonly string[] = [
  'content-encoding',
  'content-range',
  'date',
  'etag',
  'last-modified',
]

/**
 * Why a rule may not set this field to this value; '' if it may. An empty value takes the field
 * out.
 */
export function headerProblem(name: string, value: string): string {
  if (!TOKEN.test(name)) return 'not a field name'
  const lower = name.toLowerCase()
  if (FRAMING.includes(lower)) return 'a field that frames the message'
  if (OURS.includes(lower)) return 'a field that the server knows best'
  // Heads for parts of a file put their own line in its place (content/image.ts).
  if (lower === 'content-type' && value === '') return 'a field that cannot be taken out'
  if (!/^[\t\x20-\x7e]*$/.test(value)) return 'a value with characters that are not printable ASCII'
  return value === value.trim() ? '' : 'a value with white space around it'
}
