/**
 * A running server, from a checked configuration to the last frame: chooses the device, loads the
 * content, starts the packet thread, and ends all of it in order. The main thread opens devices and
 * owns their descriptors, so that they are closed whatever becomes of the worker.
 */
import { koffiProblem, SysError, tunProblem } from '@sandstorm/libnmio'
import type { ServeConfig } from './config.ts'
import { startKernelInstance } from './kernelInstance.ts'
import type { ServerStats } from './stats.ts'
import { startTapInstance } from './tapInstance.ts'

/** Where an instance says what it does, one line at a time. */
export interface Log {
  info(line: string): void
  warn(line: string): void
  /** Told at the end what was counted. */
  stats?(stats: ServerStats): void
}

export interface Instance {
  /** Where it answers: `http://10.77.0.2/`. */
  readonly url: string
  /** For people: `tap:sand0`. */
  readonly device: string
  /** Ends it cleanly; idempotent. */
  stop(): Promise<void>
  /** Settles when it is over, by `stop` or by itself; `code` is for the process. */
  readonly done: Promise<{ code: number; message: string }>
}

/** Starts serving; settles when requests are answered. Throws errors that are one clear line. */
export async function startInstance(config: ServeConfig, log: Log): Promise<Instance> {
  if (config.device.kind === 'kernel') return startKernelInstance(config, log)
  if (config.device.kind === 'tap') return startTapInstance(config, log)
  const reason = whyNoTap()
  if (reason === '') {
    try {
      return await startTapInstance(config, log)
    } catch (error) {
      if (!(error instanceof SysError) || !MISSING_RIGHTS.includes(error.code)) throw error
      log.warn(`serving on the kernel's TCP instead of our own stack: ${error.message}`)
    }
  } else {
    log.warn(`serving on the kernel's TCP instead of our own stack: ${reason}`)
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
