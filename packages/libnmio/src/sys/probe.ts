/**
 * What this machine can do, as facts for a person to read: each is a plain value, and a reason
 * instead of an exception where something is missing. Nothing is changed by looking.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { libc } from './libc.ts'
import { listAddresses, listLinks } from './links.ts'
import { prefixText } from './prefix.ts'
import { missingRights } from './rights.ts'
import { driverError, IFF_TAP, TUN_PATH } from './tun.ts'

/** The running kernel, as `uname -r` says it. */
export const kernelRelease = (): string => release()

/** '' if /dev/net/tun can be opened, else why not and what to do. */
export function tunProblem(): string {
  try {
    closeSync(openSync(TUN_PATH, 'r+'))
    return ''
  } catch (error) {
    return driverError(-((error as NodeJS.ErrnoException).errno ?? 0)).message
  }
}

/** '' if interface `name`, or a new one of that name, can have IPv6 addresses; else why not. */
export function ipv6Problem(name: string): string {
  const conf = '/proc/sys/net/ipv6/conf' // of this network namespace
  for (const of of [name, 'default']) {
    try {
      const value = readFileSync(`${conf}/${of}/disable_ipv6`, 'latin1').trim()
      const mend = `sudo sysctl -w net.ipv6.conf.${of}.disable_ipv6=0`
      return value === '0' ? '' : `IPv6 is disabled on this host (${mend})`
    } catch {
      // There is no such interface yet; or this kernel has no IPv6 at all.
    }
  }
  return "this host's kernel has no IPv6"
}

/** Does this process hold CAP_NET_ADMIN? It is what making an interface takes. */
export function hasNetAdmin(): boolean {
  try {
    return (
      missingRights(['cap_net_admin'], readFileSync('/proc/self/status', 'latin1')).length === 0
    )
  } catch {
    return false // no /proc: no Linux
  }
}

/** '' if system calls can be made, else why koffi does not load. */
export function koffiProblem(): string {
  try {
    libc()
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

/** A TAP that somebody made to stay. */
export interface PersistentTap {
  readonly name: string
  /** uid of the user who may attach without privileges; undefined: nobody. */
  readonly owner: number | undefined
  readonly multiQueue: boolean
  readonly up: boolean
  /** A program has it open now. */
  readonly busy: boolean
  /** As `10.77.0.1/24`. */
  readonly addresses: string[]
}

/** The persistent TAPs of this network namespace; none where they cannot be listed. */
export function persistentTaps(): PersistentTap[] {
  if (koffiProblem() !== '') return []
  const addresses = listAddresses()
  const found: PersistentTap[] = []
  for (const { index, name, tun, up, carrier } of listLinks()) {
    if (tun === undefined || tun.type !== IFF_TAP || !tun.persistent) continue
    found.push({
      name,
      owner: tun.owner,
      multiQueue: tun.multiQueue,
      up,
      busy: carrier || tun.queues > 0,
      addresses: addresses.filter(a => a.index === index).map(a => prefixText(a.prefix)),
    })
  }
  return found
}
