/**
 * Chooses what a server runs on: our own stack over the device that was asked for, by default a
 * TAP, or, where there can be none and nobody insisted, the kernel's TCP.
 */
import { koffiProblem, SysError, tunProblem } from '@sandstorm/libnmio'
import type { ServeConfig } from '../config.ts'
import { withControlSocket } from '../control/controlSocket.ts'
import type { OperatorLog } from '../log/operatorLog.ts'
import type { Instance, Log } from './instance.ts'
import { startKernelInstance } from './kernel.ts'
import { Operation } from './operation.ts'
import { startOwnStack } from './ownStack.ts'

type Rings = Operation['rings']

/** Starts serving; settles when requests are answered. Throws errors that are one clear line. */
export async function startInstance(config: ServeConfig, log: OperatorLog): Promise<Instance> {
  const operation = await Operation.open(config, log)
  try {
    const instance = await choose(config, log, operation.rings)
    return operation.attach(await withControlSocket(instance, log))
  } catch (error) {
    await operation.close()
    throw error
  }
}

async function choose(config: ServeConfig, log: Log, rings: Rings): Promise<Instance> {
  const [{ kind }] = config.devices
  if (kind === 'kernel') return startKernelInstance(config, log, rings)
  if (kind !== 'auto') return startOwnStack(config, log, rings)
  const problem = koffiProblem() || tunProblem()
  if (problem !== '') return fallBack(config, log, rings, problem)
  try {
    return await startOwnStack(config, log, rings)
  } catch (error) {
    const isMissing = error instanceof SysError && MISSING_RIGHTS.includes(error.code)
    if (!isMissing) throw error
    return fallBack(config, log, rings, error.message)
  }
}

/** With these a TAP cannot be had here; anything else (an address taken, say) is an error. */
const MISSING_RIGHTS = ['EPERM', 'EACCES', 'ENOENT', 'ENODEV', 'ENXIO']

/** Serves on the kernel's TCP, and says why, and what of the flags that leaves without effect. */
function fallBack(config: ServeConfig, log: Log, rings: Rings, why: string): Promise<Instance> {
  log.warn(`no TAP for our own stack, so serving on the kernel's: ${why}`)
  if (config.stackFlags.length > 0) {
    log.warn(`no effect on the kernel's stack: ${config.stackFlags.join(', ')}`)
  }
  return startKernelInstance(config, log, rings)
}
