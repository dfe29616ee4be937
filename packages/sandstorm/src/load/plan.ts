/**
 * What `load` was asked to do: checked once, here, and plain data from then on, so that it can be
 * posted to a thread. Every refusal names the flag, the value and what was expected.
 */
import { ADDRESSES_MAX } from '@sandstorm/libtcpip'
import { ConfigError, UserError } from '../cli/errors.ts'
import { formatIpv4, isUnicast, parseIpv4 } from '../cli/ipv4.ts'
import { checkNumber, checkOptionalNumber } from '../config/numbers.ts'
import { checkDevices, type DeviceName } from '../devices.ts'
import { checkLink, type LoadLink, type LoadLinkFlags } from './loadLink.ts'
import { requestHead, type Target, targetOf } from './target.ts'

/** The flags of `load` as they were typed; what was not given is absent. */
export interface LoadCommandFlags extends LoadLinkFlags {
  readonly connections?: string
  readonly requests?: string
  readonly duration?: string
  readonly keepAlive?: boolean
  readonly threads?: string
  readonly rate?: string
  readonly timeout?: string
  readonly device?: string
  readonly header?: readonly string[]
  readonly json?: boolean
}

export interface LoadPlan extends LoadLink {
  readonly target: Target
  /** The bytes of each request. */
  readonly request: string
  readonly connections: number
  /** Requests in all, 0: any number; and how long, 0: no limit. One of them is given. */
  readonly requests: number
  readonly durationUs: number
  readonly keepAlive: boolean
  readonly threads: number
  /** Requests a second; 0: closed loop. */
  readonly rate: number
  readonly timeoutUs: number
  /**
   * Our addresses that connections come from in turn, of `--source` or, on our own stack, all IPv6 ones;
   * none: what suits the way to the server.
   */
  readonly sources: readonly string[]
  readonly device: DeviceName
}

const CONNECTIONS_DEFAULT = 64
export const CONNECTIONS_MAX = 100_000
const REQUESTS_MAX = 1_000_000_000
const DURATION_DEFAULT = '10'
const DURATION_MAX_SEC = 86_400
const TIMEOUT_DEFAULT = '10'
const TIMEOUT_MAX_SEC = 600
const RATE_MAX = 10_000_000
const THREADS_MAX = 32
/** Of the kernel's, which has no list of its own. */
const SOURCES_MAX = 1024
/** What one of our own addresses has towards one port of a server (RFC 6056). */
const PORTS_PER_SOURCE = 64_512
/**
 * Of several threads each has the ports of its own flows, which are not quite as many as another's.
 */
const SHARED_PORTS_PER_SOURCE = 64_000

/** Checks everything, or throws the first UserError. */
export function checkLoad(url: string, raw: LoadCommandFlags): LoadPlan {
  const target = targetOf(url)
  const [device] = checkDevices([raw.device ?? 'kernel'])
  if (device.kind === 'auto') {
    const expected = 'kernel, tap, tap:NAME, packet:IF, xdp:IF or memif:SOCKET'
    throw new ConfigError('--device', 'auto', 'a choice is needed', expected)
  }
  const keepAlive = raw.keepAlive ?? false
  const numbers = checkNumbers(raw)
  const typed = checkSources(raw.source, device)
  const link = checkLink(raw, device, target, typed)
  const { addresses } = link.link6
  const sources = addresses.length > 0 ? addresses : typed
  checkPorts(numbers, sources, device, addresses.length > 0 ? '--address6' : '--source')
  return {
    target,
    request: requestHead(target, keepAlive, raw.header ?? []),
    ...numbers,
    keepAlive,
    sources,
    device,
    ...link,
  }
}

type Numbers = Pick<
  LoadPlan,
  'connections' | 'requests' | 'durationUs' | 'threads' | 'rate' | 'timeoutUs'
>

function checkNumbers(raw: LoadCommandFlags): Numbers {
  if (raw.requests !== undefined && raw.duration !== undefined)
    throw new UserError('-n', 'and -d do not go together', 'Give one of them')
  const connections = checkNumber(
    '-c',
    raw.connections ?? `${CONNECTIONS_DEFAULT}`,
    1,
    CONNECTIONS_MAX,
  )
  const threads = checkNumber('-t', raw.threads ?? '1', 1, THREADS_MAX)
  if (threads > connections)
    throw new ConfigError('-t', `${threads}`, 'more threads than connections', 'fewer, or more -c')
  const requests = checkOptionalNumber('-n', raw.requests, 1, REQUESTS_MAX) ?? 0
  if (requests > 0 && requests < threads)
    throw new ConfigError('-n', `${requests}`, 'fewer requests than threads', 'more, or fewer -t')
  const duration = raw.duration ?? (requests > 0 ? undefined : DURATION_DEFAULT)
  return {
    connections,
    threads,
    requests,
    durationUs: duration === undefined ? 0 : checkSeconds('-d', duration, DURATION_MAX_SEC),
    rate: checkOptionalNumber('--rate', raw.rate, 1, RATE_MAX) ?? 0,
    timeoutUs: checkSeconds('--timeout', raw.timeout ?? TIMEOUT_DEFAULT, TIMEOUT_MAX_SEC),
  }
}

/** Seconds, with a fraction; returns microseconds. */
function checkSeconds(flag: string, text: string, most: number): number {
  const value = /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN
  if (value > 0 && value <= most) return Math.round(value * 1e6)
  const why = Number.isNaN(value) ? 'not a number of seconds' : 'out of range'
  throw new ConfigError(flag, text, why, `seconds, more than 0 and up to ${most}`)
}

/** `FIRST-LAST`, or one address. */
function checkSources(text: string | undefined, { kind }: DeviceName): string[] {
  if (text === undefined) return []
  if (text.includes(':')) {
    const own = kind === 'kernel' ? ', on our own stack' : ''
    const fix = `Give each IPv6 address of ours with --address6${own}`
    throw new UserError(`--source ${text}`, 'has IPv4 addresses only', fix)
  }
  const [first, last = first, ...rest] = text.split('-').map(parseIpv4)
  const expected = 'IPv4 addresses like 10.77.0.10-10.77.0.13'
  if (first === undefined || last === undefined || rest.length > 0 || last < first)
    throw new ConfigError('--source', text, 'not a range of addresses', expected)
  const most = kind === 'kernel' ? SOURCES_MAX : ADDRESSES_MAX
  const count = last - first + 1
  if (count > most) throw new ConfigError('--source', text, 'too many', `${most} at most`)
  // Loopback is the kernel's.
  const isPossible = (address: number): boolean =>
    isUnicast(address) || (kind === 'kernel' && address >>> 24 === 127)
  if (!isPossible(first) || !isPossible(last))
    throw new ConfigError('--source', text, 'no host on a link has that', expected)
  return Array.from({ length: count }, (_, i) => formatIpv4(first + i))
}

function checkPorts(
  { connections, threads }: Numbers,
  sources: readonly string[],
  { kind }: DeviceName,
  flag: string,
): void {
  const ports = threads === 1 ? PORTS_PER_SOURCE : SHARED_PORTS_PER_SOURCE
  if (kind === 'kernel' || connections <= Math.max(1, sources.length) * ports) return
  const why = `an address of ours has ${ports} ports`
  throw new ConfigError('-c', `${connections}`, why, `more addresses with ${flag}`)
}
