/**
 * A network namespace for the process of a test file, so that it can have a TAP of its own, which
 * vanishes with it whatever happens.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'

/** linux/sched.h. */
const CLONE_NEWNET = 0x40000000
/** linux/if.h, sockios.h: struct ifreq, and what sets an interface's flags. */
const IFREQ_LEN = 40
const IFR_FLAGS = 16
const IFF_UP = 1
const SIOCSIFFLAGS = 0x8914
const AF_INET = 2
const SOCK_DGRAM = 2

/**
 * Options of a test that makes a TAP, and runs `ip` if it says so: where that is impossible it is
 * skipped; in CI that is an error.
 */
export function needsTap(command?: 'ip'): { skip: string | false } {
  const problem = tapProblem() || (command === undefined ? '' : commandProblem(command))
  if (problem !== '' && process.env['CI'] !== undefined) throw new Error(`CI lacks: ${problem}`)
  return { skip: problem === '' ? false : problem }
}

function tapProblem(): string {
  if (process.getuid?.() !== 0) return 'needs root'
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK)
    return ''
  } catch {
    return 'needs /dev/net/tun'
  }
}

const commandProblem = (command: string): string =>
  spawnSync(command, ['-V']).error === undefined ? '' : `needs the command ${command}`

/**
 * Moves this thread, and those that it starts from now on, into a namespace without any interface
 * up.
 */
export function ownNamespace(): void {
  const unshare = createRequire(import.meta.url)('koffi')
    .load(null)
    .func('int unshare(int flags)')
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare(CLONE_NEWNET)')
}

/** As `ownNamespace`, with 127.0.0.1. */
export function ownNamespaceWithLoopback(): void {
  ownNamespace()
  const libc = createRequire(import.meta.url)('koffi').load(null)
  const socket = libc.func('int socket(int domain, int type, int protocol)')
  const ioctl = libc.func('int ioctl(int fd, unsigned long request, uint8_t *argument)')
  const close = libc.func('int close(int fd)')
  const request = Buffer.alloc(IFREQ_LEN)
  request.write('lo')
  request.writeInt16LE(IFF_UP, IFR_FLAGS)
  const fd = socket(AF_INET, SOCK_DGRAM, 0)
  if (ioctl(fd, SIOCSIFFLAGS, request) !== 0) throw new Error('ioctl(SIOCSIFFLAGS)')
  close(fd)
}
