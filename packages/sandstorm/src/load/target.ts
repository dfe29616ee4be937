/** Who is asked for what: the URL of `load`, and the head of each request (RFC 9112 §3). */
import { ConfigError } from '../cli/errors.ts'

export interface Target {
  /** As typed: a name or an address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** Path and query. */
  readonly path: string
  /** As it was understood. */
  readonly url: string
}

/** Is the server named by an IPv6 address? */
export const isIpv6 = ({ host }: Target): boolean => host.includes(':')

/** What a request may have of fields that are typed. */
const REQUEST_MAX = 16_384
const EXPECTED = 'one like http://10.77.0.2:80/index.html'
/** RFC 9110 §5.1, §5.5: a token, a colon, what is printable. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/
/** They say how the connection goes on, and where a body ends; there is none. */
const OURS = ['connection', 'content-length', 'transfer-encoding', 'expect', 'upgrade']

export function targetOf(text: string): Target {
  const refuse = (why: string): never => {
    throw new ConfigError('URL', text, why, EXPECTED)
  }
  // A scheme may be left out, as with curl.
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : refuse('not a URL')
  if (url.protocol !== 'http:') refuse('only http is spoken')
  if (url.username !== '' || url.password !== '') refuse('has a user name')
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 80 : Number(url.port),
    path: `${url.pathname}${url.search}`,
    url: url.href,
  }
}

/** The bytes of a request, as text of one byte a character. Throws ConfigError. */
export function requestHead(
  { url, path }: Target,
  keepAlive: boolean,
  fields: readonly string[],
): string {
  const own = fields.map(checkField)
  const names = own.map(field => field.slice(0, field.indexOf(':')).toLowerCase())
  const lines = [`GET ${path} HTTP/1.1`]
  if (!names.includes('host')) lines.push(`Host: ${new URL(url).host}`)
  if (!names.includes('user-agent')) lines.push('User-Agent: sandstorm-load')
  if (!names.includes('accept')) lines.push('Accept: */*')
  lines.push(...own, `Connection: ${keepAlive ? 'keep-alive' : 'close'}`)
  const head = `${lines.join('\r\n')}\r\n\r\n`
  if (head.length <= REQUEST_MAX) return head
  throw new ConfigError('--header', `${own[0]}`, 'too much', `a head of ${REQUEST_MAX} bytes`)
}

function checkField(text: string): string {
  const [, name, value] = FIELD.exec(text) ?? []
  if (name === undefined)
    throw new ConfigError('--header', text, 'not a field', "one like 'Accept-Encoding: gzip'")
  if (OURS.includes(name.toLowerCase()))
    throw new ConfigError('--header', text, 'that field is ours', 'another one')
  return `${name}: ${value}`
}
