/**
 * A network namespace for the process of a test file, so that it can have a TAP of its own, which
 * vanishes with it whatever happens.
 */
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'

/** linux/sched.h. */
const CLONE_NEWNET = 0x40000000

/** Options of a test that makes a TAP: where that is impossible it is skipped; in CI that is an error. */
export function needsTap(): { skip: string | false } {
  const problem = tapProblem()
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

/** Moves this thread, and those that it starts from now on, into a namespace without any interface up. */
export function ownNamespace(): void {
  const unshare = createRequire(import.meta.url)('koffi')
    .load(null)
    .func('int unshare(int flags)')
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare(CLONE_NEWNET)')
}
