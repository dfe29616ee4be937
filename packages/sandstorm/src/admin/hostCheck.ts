/**
 * Whom a request to the admin server is meant for. A web page that has its own name point at our
 * address (DNS rebinding) could read what its visitor's browser can reach; such requests carry that
 * name in Host, so only names that are ours are answered. An address leads nowhere else, whichever
 * it is: behind a forwarded port it is not even ours.
 */
import { isIP } from 'node:net'

/**
 * Is this Host value `localhost`, an address, or one of `names` (in lower case)? The port is not
 * looked at, since a tunnel may have another. undefined: an HTTP/1.0 client without one, so no
 * browser.
 */
export function isOurHost(host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined) return true
  const name = host.toLowerCase().replace(/:\d{1,5}$/, '')
  if (name === 'localhost' || names.includes(name)) return true
  const address = /^\[.*\]$/.test(name) ? name.slice(1, -1) : name
  return isIP(address) !== 0
}
