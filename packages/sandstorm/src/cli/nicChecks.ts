/**
 * What `doctor` says of serving on interfaces that are there (`--device packet:IF`, `xdp:IF`):
 * rights, kernel, and each interface. All of it is notes: a TAP needs none of them.
 */
import { MTU_ONE_CHUNK, missingRights, type NicFacts, RIGHTS, setcap } from '@sandstorm/libnmio'
import { TAP_PORT } from '../config.ts'
import type { Check, CheckFunction, Machine } from './checks.ts'

/** TCX links keep our packets from the kernel. */
const PACKET_KERNEL = [6, 6]
/** XDP is attached by a BPF link. */
const XDP_KERNEL = [5, 9]
/** AF_XDP takes frames of more than MTU_ONE_CHUNK. */
const MULTI_BUFFER_KERNEL = [6, 6]

const CAN: Record<NicFacts['xdp'], string> = {
  unknown: 'XDP unknown (this kernel does not say)',
  generic: 'XDP generic',
  native: 'XDP native, copying',
  'zero-copy': 'XDP native, zero-copy',
}

/** Rights and kernel for each kind, then the interfaces. */
export const nicChecks = (machine: Machine, nics: readonly NicFacts[]): CheckFunction[] => [
  () => checkKind(machine, 'packet', PACKET_KERNEL),
  () => checkKind(machine, 'xdp', XDP_KERNEL),
  ...nics.map(nic => () => checkNic(machine, nic)),
]

function checkKind(machine: Machine, kind: 'packet' | 'xdp', kernel: readonly number[]): Check {
  const name = `--device ${kind}`
  if (isOlder(machine, kernel)) {
    const detail = `needs Linux ${kernel.join('.')}`
    return { name, state: 'note', detail, fix: 'sandstorm serve DIR --device tap' }
  }
  const missing = missingRights(RIGHTS[kind], machine.read('/proc/self/status'))
  if (missing.length === 0) return { name, state: 'ok', detail: 'all rights are held', fix: '' }
  const detail = `needs ${missing.join(', ').toUpperCase()}`
  return { name, state: 'note', detail, fix: setcap(RIGHTS[kind].join(',')) }
}

function isOlder({ release }: Machine, kernel: readonly number[]): boolean {
  const [major = 0, minor = 0] = release.split('.').map(Number)
  return major < kernel[0] || (major === kernel[0] && minor < kernel[1])
}

async function checkNic(machine: Machine, nic: NicFacts): Promise<Check> {
  const { name, driver, mtu, addresses, receiveQueues } = nic
  const queues = `${receiveQueues} receive queue${receiveQueues === 1 ? '' : 's'}`
  const what = [driver, `MTU ${mtu}`, queues, CAN[nic.xdp], ...addresses].filter(Boolean).join(', ')
  const note = (detail: string, fix: string): Check => ({
    name,
    state: 'note',
    detail: `${what}; ${detail}`,
    fix,
  })
  if (!nic.isUp) return note('down', `sudo ip link set ${name} up`)
  if (addresses.length === 0) {
    return note('no address', `sandstorm serve DIR --device packet:${name} --address ADDRESS/LEN`)
  }
  const [address] = addresses[0].split('/')
  if ((await machine.listenProblem(address, TAP_PORT)) === 'EADDRINUSE') {
    const fix = `sandstorm serve DIR --device packet:${name} --port 8080`
    return note(`port ${TAP_PORT} is in use`, fix)
  }
  if (nic.hasLro) return note('LRO, which XDP cannot have', `sudo ethtool -K ${name} lro off`)
  if (mtu > MTU_ONE_CHUNK && isOlder(machine, MULTI_BUFFER_KERNEL)) {
    const detail = `xdp takes ${MTU_ONE_CHUNK} bytes of it before Linux 6.6`
    return note(detail, `sandstorm serve DIR --device packet:${name}`)
  }
  if (receiveQueues > 1) {
    const fix = `sandstorm serve DIR --device xdp:${name} --workers ${receiveQueues}`
    return note('xdp wants a worker for each queue', fix)
  }
  return { name, state: 'ok', detail: what, fix: '' }
}
