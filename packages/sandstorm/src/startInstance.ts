/**
 * A running server, from a checked configuration to the last frame: chooses the device, loads the
 * content, starts the packet thread, and ends all of it in order. The main thread opens devices and
 * owns their descriptors, so that they are closed whatever becomes of the worker.
 */
import { koffiProblem, SysError, tunProblem } from '@sandstorm/libnmio'
import type { ServeConfig } from './config.ts'
import type { Instance, Log } from './instance.ts'
import { startKernelInstance } from './kernelInstance.ts'
import { startTapInstance } from './tapInstance.ts'

/** Starts serving; settles when requests are answered. Throws errors that are one clear line. */
export async function startInstance(config: ServeConfig, log: Log): Promise<Instance> {
  if (config.device.kind === 'kernel') return startKernelInstance(config, log)
  if (config.device.kind === 'tap') return startTapInstance(config, log)
  const fallBack = (why: string): void =>
    log.warn(`no TAP for our own stack, so serving on the kernel's: ${why}`)
  const reason = whyNoTap()
  if (reason === '') {
    try {
      return await startTapInstance(config, log)
    } catch (error) {
      if (!(error instanceof SysError) || !MISSING_RIGHTS.includes(error.code)) throw error
      fallBack(error.message)
    }
  } else {
    fallBack(reason)
  }
  return startKernelInstance(config, log)
}

/** With these a TAP cannot be had here; anything else (an address taken, say) is an error. */
const MISSING_RIGHTS = ['EPERM', 'EACCES', 'ENOENT', 'ENODEV', 'ENXIO']

function whyNoTap(): string {
  const koffi = koffiProblem()
  if (koffi !== '') return `koffi does not load (${koffi})`
  const tun = tunProblem()
  if (tun !== '')
    return `/dev/net/tun cannot be opened (${tun}); for the real thing: sudo npm start`
  return ''
}
