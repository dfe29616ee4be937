/**
 * What a test needs from the machine. On a user's machine a missing tool or privilege skips the
 * test and prints why; where CI is set it is a failure, since a test that never runs proves
 * nothing.
 *
 * Use it as the options of a test or suite: `describe('over TAP', needs('root', 'tun'), () => …)`.
 */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A privilege (`root`, `tun`) or the name of a command on the PATH. */
export type Need =
  | 'root'
  | 'tun'
  | 'ab'
  | 'chromium'
  | 'curl'
  | 'dpdk-testpmd'
  | 'ethtool'
  | 'h2load'
  | 'hping3'
  | 'ip'
  | 'nginx'
  | 'nmap'
  | 'ping'
  | 'prlimit'
  | 'setpriv'
  | 'slowhttptest'
  | 'taskset'
  | 'trafgen'
  | 'tshark'
  | 'unshare'
  | 'wrk'

/** Administrators' folders: on Debian they are not on a user's PATH, yet `ip` lies there. */
const SBIN = ['/usr/sbin', '/sbin']

/** Test options that skip with a reason when something is missing; throws where CI is set. */
export function needs(...list: Need[]): { skip: string | false } {
  const missing = list.map(reasonMissing).filter(reason => reason !== '')
  if (missing.length === 0) return { skip: false }
  const reason = `needs ${missing.join(', ')}`
  if (inCi()) throw new Error(`${reason}; in CI nothing is skipped`)
  return { skip: reason }
}

function inCi(): boolean {
  const ci = process.env['CI']
  return ci !== undefined && ci !== '' && ci !== 'false'
}

function reasonMissing(need: Need): string {
  if (need === 'root') return process.getuid?.() === 0 ? '' : 'root'
  if (need === 'tun') return canOpen('/dev/net/tun') ? '' : '/dev/net/tun (modprobe tun)'
  return findCommand(need) === '' ? `the command ${need}` : ''
}

function findCommand(name: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SBIN]
  return folders.map(folder => join(folder, name)).find(isExecutable) ?? ''
}

function isExecutable(path: string): boolean {
  return hasAccess(path, constants.X_OK)
}

function canOpen(path: string): boolean {
  return hasAccess(path, constants.R_OK | constants.W_OK)
}

function hasAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
