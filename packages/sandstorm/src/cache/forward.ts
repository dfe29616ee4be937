/**
 * The head of a request as the origin gets it: with our name in Via (RFC 9110 §7.6.3) and with what
 * the origin wants to know of the client.
 */
import { withVia } from './hopByHop.ts'
import { type CacheRequest, type Field, fieldValue, without } from './message.ts'

export interface ForwardConfig {
  /** The origin gets the client's Host, else its own. */
  readonly keepsHost: boolean
  /** X-Forwarded-For, -Proto and -Host. */
  readonly xForwarded: boolean
  /** Forwarded (RFC 7239). */
  readonly forwarded: boolean
  /** Believe what the client says of earlier proxies, and add to it; else it is replaced. */
  readonly trustsClient: boolean
}

export const DEFAULT_FORWARD: ForwardConfig = {
  keepsHost: true,
  xForwarded: true,
  forwarded: false,
  trustsClient: false,
}

/** Host is written anew, and we have waited for the body already (RFC 9110 §10.1.1). */
const NEVER_SENT: ReadonlySet<string> = new Set(['host', 'expect', 'http2-settings'])
/** Any longer way is as good as this one. */
const HOPS_MAX = 256
const CLIENT_CLAIMS: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'forwarded',
])

export function forwardedFields(
  request: CacheRequest,
  originAuthority: string,
  config: ForwardConfig,
  name: string,
): Field[] {
  const kept = without(request.fields, NEVER_SENT)
  const rest = request.method === 'OPTIONS' ? kept.map(oneHopLess) : kept
  const host = config.keepsHost ? request.authority : originAuthority
  const added = config.xForwarded ? xForwarded(request, config) : []
  if (config.forwarded) added.push(['Forwarded', forwarded(request, config)])
  return [['Host', host], ...withVia(without(rest, CLIENT_CLAIMS), name), ...added]
}

/** RFC 9110 §7.6.2; what comes with none left does not come here (http/machine.ts). */
function oneHopLess(field: Field): Field {
  const [name, value] = field
  if (name.toLowerCase() !== 'max-forwards' || !/^\d+$/.test(value)) return field
  return [name, String(Math.max(0, Math.min(Number(value), HOPS_MAX) - 1))]
}

function xForwarded(request: CacheRequest, config: ForwardConfig): Field[] {
  const claimed = (field: string): string | undefined =>
    config.trustsClient ? fieldValue(request.fields, field) : undefined
  const fields: Field[] = []
  const path = [claimed('x-forwarded-for'), request.clientAddress].filter(part => part)
  if (path.length > 0) fields.push(['X-Forwarded-For', path.join(', ')])
  fields.push(['X-Forwarded-Proto', claimed('x-forwarded-proto') ?? request.scheme])
  fields.push(['X-Forwarded-Host', claimed('x-forwarded-host') ?? request.authority])
  return fields
}

function forwarded(request: CacheRequest, config: ForwardConfig): string {
  const { clientAddress: address, authority, scheme } = request
  const node = address === '' ? 'unknown' : address.includes(':') ? `"[${address}]"` : address
  const hop = `for=${node};host="${authority}";proto=${scheme}`
  const before = config.trustsClient ? fieldValue(request.fields, 'forwarded') : undefined
  return before === undefined ? hop : `${before}, ${hop}`
}
