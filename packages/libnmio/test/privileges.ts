/**
 * What a test needs of the machine. Where it is missing the test is skipped and the reason printed;
 * in CI (process.env.CI) the test file fails instead, so that nothing is skipped unseen.
 *
 * `ownNamespace` moves this process into a network namespace of its own: node:test runs every file
 * as a process, so whatever a file makes there vanishes with it, whatever happens.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { check } from '../src/sys/libc.ts'
import { listLinks, setLink } from '../src/sys/links.ts'
import { hasNetAdmin, koffiProblem, tunProblem } from '../src/sys/probe.ts'

/** linux/sched.h. */
const CLONE_NEWNET = 0x40000000

interface Calls {
  unshare(flags: number): number
  capget(header: Uint8Array, data: Uint8Array): number
  capset(header: Uint8Array, data: Uint8Array): number
}

/** Calls that only tests make, on the calling thread. */
function calls(): Calls {
  const lib = createRequire(import.meta.url)('koffi').load(null)
  return {
    unshare: lib.func('int unshare(int flags)'),
    capget: lib.func('int capget(void *header, void *data)'),
    capset: lib.func('int capset(void *header, void *data)'),
  }
}

/** '' if TAPs can be made here, else why not. */
export function tapProblem(): string {
  if (koffiProblem() !== '') return koffiProblem()
  if (tunProblem() !== '') return tunProblem()
  return hasNetAdmin() ? '' : 'needs root (CAP_NET_ADMIN)'
}

/** '' if AF_PACKET and AF_XDP can be tried here, on interfaces that `ip` makes; else why not. */
export function nicProblem(): string {
  if (koffiProblem() !== '') return koffiProblem()
  if (!hasNetAdmin()) return 'needs root (CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF)'
  const found = spawnSync('ip', ['-V'])
  return found.error === undefined ? '' : 'needs the command ip'
}

/** '' if DPDK's test program is here (Debian: dpdk-dev), else why not. */
export function testpmdProblem(): string {
  if (koffiProblem() !== '') return koffiProblem()
  const found = spawnSync('dpdk-testpmd', ['--help'])
  return found.error === undefined ? '' : 'needs the command dpdk-testpmd'
}

/** Test options for a test that needs what `problem` says is missing. */
export function unless(problem: string): { skip: string | false } {
  if (problem !== '' && process.env['CI'] !== undefined) throw new Error(`CI lacks: ${problem}`)
  return { skip: problem === '' ? false : problem }
}

/** A fresh network namespace, with loopback up, for this process and the children it will start. */
export function ownNamespace(): void {
  check(calls().unshare(CLONE_NEWNET), 'unshare(CLONE_NEWNET)')
  for (const link of listLinks()) if (link.name === 'lo') setLink(link.index, { up: true })
}

/** Runs `body` as a user without CAP_NET_ADMIN would see the kernel; the right comes back after. */
export function withoutNetAdmin(body: () => void): void {
  const { capget, capset } = calls()
  // linux/capability.h: { u32 version; int pid }, then two of { u32 effective, permitted,
  // inheritable }.
  const header = new Uint8Array(Uint32Array.of(0x20080522, 0).buffer)
  const before = new Uint32Array(6)
  check(capget(header, new Uint8Array(before.buffer)), 'capget')
  const less = before.slice()
  less[0] &= ~(1 << 12)
  check(capset(header, new Uint8Array(less.buffer)), 'capset')
  try {
    body()
  } finally {
    check(capset(header, new Uint8Array(before.buffer)), 'capset')
  }
}
