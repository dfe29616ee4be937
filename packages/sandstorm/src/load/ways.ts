/**
 * Ways to the server: its address, and ours on the kernel's stack; each refusal is one clear line.
 */
import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { ConfigError, UserError } from '../cli/errors.ts'
import { parseIpv4 } from '../cli/ipv4.ts'
import { isInSubnet, isSameIpv6, parseIpv6, parseIpv6Prefix } from '../cli/ipv6.ts'
import type { LoadPlan } from './plan.ts'
import { isIpv6 } from './target.ts'

/** The address of the plan's target, checked to be one that the plan's addresses can reach. */
export async function findTarget(plan: LoadPlan): Promise<string> {
  const { target, device, sources } = plan
  const isOwn = device.kind !== 'kernel'
  const needsIpv4 = isOwn ? !isIpv6(target) : sources.length > 0
  const address = await resolve(target.host, needsIpv4)
  if (isOwn) checkRoute(address, plan)
  return address
}

async function resolve(host: string, needsIpv4: boolean): Promise<string> {
  try {
    const { address, family } = await lookup(host, needsIpv4 ? { family: 4 } : {})
    if (!needsIpv4 || family === 4) return address
  } catch {
    if (!host.includes(':')) {
      const what = needsIpv4 ? 'no such host, or none with an IPv4 address' : 'no such host'
      throw new ConfigError('URL', host, what, 'a name that can be resolved, or an address')
    }
  }
  const why = 'our addresses here are IPv4, and so must the server’s be'
  throw new ConfigError('URL', host, why, 'an IPv4 address')
}

/** A host on one of our subnets, or behind the gateway; and not ourselves. */
function checkRoute(address: string, plan: LoadPlan): void {
  if (address.includes(':')) checkRoute6(address, plan)
  else checkRoute4(address, plan)
}

function checkRoute4(address: string, { link4 }: LoadPlan): void {
  const target = parseIpv4(address) ?? 0
  const own = [link4, ...link4.others]
  if (own.some(one => one.address === address)) throw isOurs(address)
  const isNear = own.some(one => {
    const size = 2 ** (32 - one.prefixLen)
    const base = parseIpv4(one.address) ?? 0
    return Math.floor(base / size) === Math.floor(target / size)
  })
  if (isNear || link4.gateway !== '') return
  const subnets = own.map(one => `${one.address}/${one.prefixLen}`)
  throw isFar(address, subnets, '')
}

function checkRoute6(address: string, { link6 }: LoadPlan): void {
  const target = parseIpv6(address) ?? new Int32Array(4)
  const own = link6.addresses.flatMap(text => parseIpv6Prefix(text) ?? [])
  if (own.some(({ words }) => isSameIpv6(words, target))) throw isOurs(address)
  if (own.some(subnet => isInSubnet(target, subnet)) || link6.gateway !== '') return
  throw isFar(address, link6.addresses, '6')
}

const isOurs = (address: string): ConfigError =>
  new ConfigError('URL', address, 'that is an address of ours', "the server's")

function isFar(address: string, subnets: readonly string[], version: '' | '6'): UserError {
  const why = `${address} is on no subnet of ours (${subnets.join(', ')})`
  const fix = `Give the router to it, or an --address${version} beside it`
  return new UserError(`--gateway${version}`, why, fix)
}

/** Files that the process has open besides: the runtime's own, and those of each thread. */
const OWN_FILES = 32
const OWN_FILES_PER_THREAD = 8

/** On the kernel's stack a connection is one of the files that a process may have open. */
export function checkDescriptors(
  { connections, threads, device }: Pick<LoadPlan, 'connections' | 'threads' | 'device'>,
  openFilesMax: number,
): void {
  const most = openFilesMax - OWN_FILES - threads * OWN_FILES_PER_THREAD
  if (device.kind !== 'kernel' || connections <= most) return
  const why = `on the kernel’s stack ulimit -n, ${openFilesMax} here, is in the way`
  const fewer = most > 0 ? `${most} at most, ` : ''
  throw new ConfigError('-c', `${connections}`, why, `${fewer}a higher ulimit -n or --device tap`)
}

/** Are these addresses the machine's? */
export async function checkKernelSources(sources: readonly string[]): Promise<void> {
  for (const source of sources) {
    const problem = await bindProblem(source)
    if (problem === '') continue
    const what = problem === 'EADDRNOTAVAIL' ? 'this machine has no such address' : problem
    const fix = `Give it one: sudo ip address add ${source}/32 dev lo`
    throw new UserError(`--source ${source}`, what, fix)
  }
}

/** '' if a socket may be bound to it, else why not. */
const bindProblem = (address: string): Promise<string> =>
  new Promise(resolve => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    probe.listen(0, address, () => probe.close(() => resolve('')))
  })
