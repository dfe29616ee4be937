/**
 * A network namespace for one test file (network_namespaces(7)): server and clients run inside, so
 * every test may use the default addresses and the default interface name, none sees another, and
 * the machine's own network is never touched.
 *
 * Names carry the pid of the test process. Whatever ends that process, the namespace goes: by
 * `remove`, by the exit hook, or, after a SIGKILL, by the next test process that starts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { atExit } from './cleanup.ts'

const PREFIX = 'sand-test'
/** Where ip-netns(8) keeps the names. */
const NAMES = '/run/netns'

let made = 0

export class Namespace {
  readonly name: string
  readonly #forget: () => void

  /** Makes the namespace with its loopback up. Needs root and `ip`. */
  constructor() {
    if (made === 0) removeLeftovers()
    this.name = `${PREFIX}-${process.pid}-${made++}`
    ip('netns', 'add', this.name)
    this.#forget = atExit(() => removeNamespace(this.name))
    this.ip('link', 'set', 'lo', 'up')
  }

  /** The command line that runs `argv` in here. */
  inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv]
  }

  /** Runs `ip …` in here and returns what it printed. */
  ip(...args: string[]): string {
    return ip('-n', this.name, ...args)
  }

  /**
   * Lays a cable to another namespace: `name` here, `farName` there, both up, with these addresses,
   * and with so many queues.
   */
  connect(
    name: string,
    address: string,
    far: Namespace,
    farName: string,
    farAddress: string,
    queues = 1,
  ): void {
    const many = ['numrxqueues', `${queues}`, 'numtxqueues', `${queues}`]
    const peer = ['peer', 'name', farName, 'netns', far.name, ...many]
    this.ip('link', 'add', name, ...many, 'type', 'veth', ...peer)
    this.ip('addr', 'add', address, 'dev', name)
    far.ip('addr', 'add', farAddress, 'dev', farName)
    this.ip('link', 'set', name, 'up')
    far.ip('link', 'set', farName, 'up')
  }

  /** Sets a network sysctl in here: `net.ipv4.tcp_sack`. Throws where the kernel refuses. */
  sysctl(name: string, value: string | number): void {
    const script = 'printf %s "$1" > "$0"'
    const path = `/proc/sys/${name.replaceAll('.', '/')}`
    ip('netns', 'exec', this.name, 'sh', '-c', script, path, String(value))
  }

  /** The interfaces in here, loopback left out. */
  interfaces(): string[] {
    const links = JSON.parse(this.ip('-json', 'link')) as { ifname?: string }[]
    return links.map(link => link.ifname ?? '').filter(name => name !== '' && name !== 'lo')
  }

  /** The processes that run in here. */
  pids(): number[] {
    return pidsIn(this.name)
  }

  /** Ends what still runs in here and removes the namespace. */
  remove(): void {
    this.#forget()
    removeNamespace(this.name)
  }
}

function ip(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`)
  return stdout
}

/** Everything that runs in a namespace of ours was started by its test: it is ended by pid. */
function removeNamespace(name: string): void {
  pidsIn(name).forEach(endProcess)
  ip('netns', 'del', name)
}

function pidsIn(name: string): number[] {
  return ip('netns', 'pids', name).split('\n').filter(Boolean).map(Number)
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself between the two calls.
  }
}

function removeLeftovers(): void {
  if (!existsSync(NAMES)) return
  for (const name of readdirSync(NAMES)) {
    const owner = new RegExp(`^${PREFIX}-(\\d+)-\\d+$`).exec(name)?.[1]
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    try {
      removeNamespace(name)
    } catch {
      // Another test process that started at the same moment was faster.
    }
  }
}
