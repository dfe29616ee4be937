/**
 * Chooses what a server runs on: our own stack over the device that was asked for, by default a TAP,
 * or, where there can be none and nobody insisted, the kernel's TCP.
 */
import { koffiProblem, SysError, tunProblem } from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import { withControlSocket } from '../control/controlSocket.ts'
import type { Instance, Log } from './instance.ts'
import { startKernelInstance } from './kernel.ts'
import { startOwnStack } from './ownStack.ts'

/** Starts serving; settles when requests are answered. Throws errors that are one clear line. */
export async function startInstance(config: ServeConfig, log: Log): Promise<Instance> {
  return withControlSocket(await choose(config, log), log)
}

async function choose(config: ServeConfig, log: Log): Promise<Instance> {
  const [{ kind }] = config.devices
  if (kind === 'kernel') return startKernelInstance(config, log)
  if (kind !== 'auto') return startOwnStack(config, log)
  const problem = koffiProblem() || tunProblem()
  if (problem !== '') return fallBack(config, log, problem)
  try {
    return await startOwnStack(config, log)
  } catch (error) {
    const isMissing = error instanceof SysError && MISSING_RIGHTS.includes(error.code)
    if (!isMissing) throw error
    return fallBack(config, log, error.message)
  }
}

/** With these a TAP cannot be had here; anything else (an address taken, say) is an error. */
const MISSING_RIGHTS = ['EPERM', 'EACCES', 'ENOENT', 'ENODEV', 'ENXIO']

/** Serves on the kernel's TCP, and says why, and what of the flags that leaves without effect. */
function fallBack(config: ServeConfig, log: Log, why: string): Promise<Instance> {
  log.warn(`no TAP for our own stack, so serving on the kernel's: ${why}`)
  if (config.stackFlags.length > 0) {
    log.warn(`no effect on the kernel's stack: ${config.stackFlags.join(', ')}`)
  }
  return startKernelInstance(config, log)
}
