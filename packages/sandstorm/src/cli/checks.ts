/**
 * What `doctor` looks at. A check reads one fact of the machine and says what would mend it; it
 * changes nothing. `missing` means that serving over a TAP cannot work; `note` means that it can,
 * though perhaps not with the defaults.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces, release } from 'node:os'
import { missingRights } from '@sandstorm/libnmio'
import { KERNEL_ADDRESS, KERNEL_PORT } from '../config.ts'
import { TAP_NAME } from '../devices.ts'
import { TAP_ADDRESS, TAP_HOST_ADDRESS, TAP_PREFIX_LEN } from '../link4.ts'
import { TAP_ADDRESS6, TAP_HOST_ADDRESS6, TAP_PREFIX_LEN6 } from '../link6.ts'
import { parseIpv4, usableRange } from './ipv4.ts'
import { isInSubnet, parseIpv6, parseIpv6Prefix } from './ipv6.ts'

export interface Check {
  readonly name: string
  readonly state: 'ok' | 'missing' | 'note'
  /** What was found. */
  readonly detail: string
  /** The exact command that mends it; '' where nothing needs mending. */
  readonly fix: string
}

export type CheckFunction = () => Check | Promise<Check>

/**
 * The facts that the checks look at, so that a test can bring a machine of its own. Text is '' for
 * a file that is not there.
 */
export interface Machine {
  readonly node: string
  readonly platform: string
  readonly release: string
  readonly uid: number
  readonly read: (path: string) => string
  /** '' if the file opens for reading and writing, else why not: ENOENT, EACCES, … */
  readonly openProblem: (path: string) => string
  /** Addresses by interface. */
  readonly addresses: () => { name: string; address: string }[]
  /** '' if a program may listen there, else why not. */
  readonly listenProblem: (address: string, port: number) => Promise<string>
}

/** Every check, in the order of the table. `extra`: those that need a library of another layer. */
export function checksOf(machine: Machine, extra: readonly CheckFunction[] = []): CheckFunction[] {
  return [
    () => checkNode(machine),
    () => checkSystem(machine),
    ...extra,
    () => checkTun(machine),
    () => checkRight(machine),
    () => checkTap(machine),
    () => checkAddresses(machine),
    () => checkIpv6(machine),
    () => checkPort(machine),
  ]
}

const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail, fix: '' })

function checkNode({ node }: Machine): Check {
  const [major = 0, minor = 0] = node.replace(/^v/, '').split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return ok('Node.js', node)
  const detail = `${node}: 20.19 or later is needed`
  return { name: 'Node.js', state: 'missing', detail, fix: 'npx -p node@24 node --version' }
}

function checkSystem({ platform, release }: Machine): Check {
  if (platform === 'linux') return ok('system', `Linux ${release}`)
  const detail = `${platform} ${release}: only Linux has TAP devices of this kind`
  return { name: 'system', state: 'missing', detail, fix: 'sandstorm serve DIR --device kernel' }
}

const TUN = '/dev/net/tun'

function checkTun(machine: Machine): Check {
  const problem = machine.openProblem(TUN)
  if (problem === '') return ok(TUN, 'can be opened')
  const fix =
    problem === 'ENOENT'
      ? `sudo mkdir -p /dev/net && sudo mknod -m 666 ${TUN} c 10 200`
      : problem === 'ENODEV' || problem === 'ENXIO'
        ? 'sudo modprobe tun'
        : problem === 'EPERM'
          ? `docker run --device ${TUN} --cap-add NET_ADMIN …`
          : `sudo chmod 666 ${TUN}`
  return { name: TUN, state: 'missing', detail: `cannot be opened (${problem})`, fix }
}

/** IPv6 comes last: on a host where it is disabled the rest is done all the same. */
const MAKE_TAP =
  `sudo ip tuntap add dev ${TAP_NAME} mode tap user $USER && ` +
  `sudo ip addr add ${TAP_HOST_ADDRESS}/${TAP_PREFIX_LEN} dev ${TAP_NAME} && ` +
  `sudo ip link set ${TAP_NAME} up && ` +
  `sudo ip addr add ${TAP_HOST_ADDRESS6}/${TAP_PREFIX_LEN6} dev ${TAP_NAME} nodad`

function checkRight(machine: Machine): Check {
  const name = 'CAP_NET_ADMIN'
  if (missingRights(['cap_net_admin'], machine.read('/proc/self/status')).length === 0)
    return ok(name, 'held: can make a TAP')
  if (tapState(machine) === 'ours') return ok(name, `not needed: ${TAP_NAME} is ours to attach to`)
  const detail = 'not held: this user cannot make a TAP; root can make one for it'
  return { name, state: 'missing', detail, fix: MAKE_TAP }
}

/** linux/if_tun.h, as /sys/class/net/NAME/tun_flags shows them. */
const IFF_TAP = 0x0002
const IFF_PERSIST = 0x0800

/**
 * What stands in the way of the default TAP: nothing, a TAP that we may attach to, or another
 * thing.
 */
export function tapState({ read, uid }: Machine): 'free' | 'ours' | 'busy' | 'foreign' {
  const at = `/sys/class/net/${TAP_NAME}`
  if (read(`${at}/ifindex`) === '') return 'free'
  const flags = Number(read(`${at}/tun_flags`))
  if ((flags & IFF_TAP) === 0) return 'foreign'
  if (read(`${at}/carrier`).trim() === '1') return 'busy' // a program holds the other end
  const mayAttach = uid === 0 || Number(read(`${at}/owner`)) === uid
  return (flags & IFF_PERSIST) !== 0 && mayAttach ? 'ours' : 'foreign'
}

function checkTap(machine: Machine): Check {
  const name = `TAP ${TAP_NAME}`
  const state = tapState(machine)
  if (state === 'free') return ok(name, 'the name is free')
  if (state === 'ours') return ok(name, 'there, and ours to attach to')
  const detail = state === 'busy' ? 'in use by another program' : 'the name belongs to another'
  return { name, state: 'note', detail, fix: 'sandstorm serve DIR --device tap:sand1' }
}

function checkAddresses(machine: Machine): Check {
  const name = `${TAP_ADDRESS}/${TAP_PREFIX_LEN}`
  const [first, last] = usableRange(parseIpv4(TAP_ADDRESS) ?? 0, TAP_PREFIX_LEN)
  const taken = machine.addresses().find(entry => {
    const address = parseIpv4(entry.address) ?? 0
    return entry.name !== TAP_NAME && address >= first && address <= last
  })
  if (taken === undefined) return ok(name, 'no interface has an address in this subnet')
  const fix = 'sandstorm serve DIR --address 10.77.1.2/24 --host-address 10.77.1.1/24'
  return { name, state: 'note', detail: `${taken.name} has ${taken.address}`, fix }
}

/** Of the namespace that we are in; '' where the kernel has no IPv6. */
const DISABLED6 = '/proc/sys/net/ipv6/conf/default/disable_ipv6'

function checkIpv6(machine: Machine): Check {
  const name = `${TAP_ADDRESS6}/${TAP_PREFIX_LEN6}`
  const note = (detail: string, fix: string): Check => ({ name, state: 'note', detail, fix })
  const disabled = machine.read(DISABLED6).trim()
  if (disabled === '') return note('the kernel has no IPv6, so IPv4 alone is served', '')
  if (disabled !== '0') {
    const fix = 'sudo sysctl -w net.ipv6.conf.default.disable_ipv6=0'
    return note('IPv6 is disabled on this host, so IPv4 alone is served', fix)
  }
  const subnet = parseIpv6Prefix(name)
  const taken = machine.addresses().find(entry => {
    const words = parseIpv6(entry.address)
    if (words === undefined || subnet === undefined) return false
    return entry.name !== TAP_NAME && isInSubnet(words, subnet)
  })
  if (taken === undefined) return ok(name, 'no interface has an address in this subnet')
  const fix = 'sandstorm serve DIR --address6 fd77:0:0:1::2/64'
  return note(`${taken.name} has ${taken.address}`, fix)
}

async function checkPort(machine: Machine): Promise<Check> {
  const name = `port ${KERNEL_PORT}`
  const problem = await machine.listenProblem(KERNEL_ADDRESS, KERNEL_PORT)
  if (problem === '') return ok(name, `free on ${KERNEL_ADDRESS}, for --device kernel`)
  const fix =
    problem === 'EADDRNOTAVAIL'
      ? 'sudo ip link set lo up'
      : 'sandstorm serve DIR --device kernel --port 8081'
  return { name, state: 'note', detail: `not for --device kernel (${problem})`, fix }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unknown'

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  node: process.version,
  platform: process.platform,
  release: release(),
  uid: process.getuid?.() ?? -1,
  read: path => {
    try {
      return readFileSync(path, 'latin1')
    } catch {
      return ''
    }
  },
  openProblem: path => {
    try {
      closeSync(openSync(path, 'r+'))
      return ''
    } catch (error) {
      return codeOf(error)
    }
  },
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
      (entries ?? []).map(({ address }) => ({ name, address })),
    ),
  listenProblem: (address, port) =>
    new Promise(resolve => {
      const probe = createServer()
      probe.once('error', error => resolve(codeOf(error)))
      probe.listen(port, address, () => probe.close(() => resolve('')))
    }),
}
