/**
 * Host names that a site answers for (RFC 9110 §7.2), in the form in which names are compared:
 * lower case, without port and final dot, other scripts as RFC 5891 writes them, addresses in
 * RFC 5952's form.
 */
import { domainToASCII } from 'node:url'
import { parseIpv4 } from '../cli/ipv4.ts'
import { formatIpv6, parseIpv6 } from '../cli/ipv6.ts'

export const HOST_EXPECTED =
  'a name like example.org or *.example.org, or an address, without a port'

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/

/** The name as it is compared; '' if it is none. */
export function normalHost(text: string): string {
  const bracketed = /^\[(.*)\]$/.exec(text)?.[1]
  if (bracketed !== undefined) {
    const words = parseIpv6(bracketed)
    return words === undefined ? '' : `[${formatIpv6(words)}]`
  }
  const [, star = '', rest = ''] = /^(\*\.)?([^\s%/?#@:[\]]*)$/.exec(text) ?? []
  const name = domainToASCII(rest.replace(/\.$/, ''))
  const labels = name.split('.')
  if (name.length > 253 || !labels.every(label => LABEL.test(label))) return ''
  // WHATWG's parser takes 0x7f.1 for an address; whoever means one writes all of it.
  const isAddress = parseIpv4(name) !== undefined
  if (isAddress) return star === '' && name === rest ? name : ''
  return star + name
}
