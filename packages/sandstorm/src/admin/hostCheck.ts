/**
 * Whom a request to the admin server is meant for. A web page that has its own name point at our
 * address (DNS rebinding) could read what its visitor's browser can reach; such requests carry that
 * name in Host, so only names that are ours are answered.
 */
import { isIP } from 'node:net'
import { clientAddress, clientText } from '../log/client.ts'

/**
 * Is this Host value `localhost`, the address that the client has connected to, or one of `names`?
 * The port is not looked at, since a tunnel may have another. undefined: an HTTP/1.0 client without
 * one, so no browser.
 */
export function isOurHost(
  host: string | undefined,
  localAddress: string | undefined,
  names: readonly string[],
): boolean {
  if (host === undefined) return true
  const name = host.toLowerCase().replace(/:\d{1,5}$/, '')
  if (name === 'localhost' || names.includes(name)) return true
  const address = /^\[.*\]$/.test(name) ? name.slice(1, -1) : name
  if (isIP(address) === 0 || localAddress === undefined) return false
  return clientText(clientAddress(address)) === clientText(clientAddress(localAddress))
}
