/** An instance on the kernel's TCP (node:net): the same HTTP and content without our stack. */
import type { ServeConfig } from '../config.ts'
import { loadContent } from '../content/load.ts'
import { attachContent } from '../content/table.ts'
import { AccessRing } from '../log/accessRing.ts'
import { mountOnKernel } from '../mount/kernelMount.ts'
import type { Instance, Log } from './instance.ts'

/**
 * Loads the content and listens; answers are noted in the first of `rings`, if there is one. Throws
 * errors that are one clear line.
 */
export async function startKernelInstance(
  config: ServeConfig,
  log: Log,
  rings: readonly SharedArrayBuffer[],
): Promise<Instance> {
  const shared = await loadContent(config.sites, {
    memoryBytes: config.memoryBytes,
    onWarning: line => log.warn(line),
    onProgress: log.onProgress,
  })
  const { address, port } = config.kernel
  const { limits } = config
  const mount = await mountOnKernel(attachContent(shared), {
    host: address,
    port,
    limits: { ...limits, http: limits },
    accessLog: rings.length === 0 ? undefined : new AccessRing(rings[0]),
  })
  let end: (value: { code: number; message: string }) => void = () => {}
  const done = new Promise<{ code: number; message: string }>(resolve => {
    end = resolve
  })
  return {
    endpoints: [{ url: `http://${mount.address}:${mount.port}/`, device: 'kernel' }],
    stop: async () => {
      await mount.close()
      log.stats({ connections: mount.stats.open, ...mount.stats })
      end({ code: 0, message: '' })
    },
    done,
    metrics: async () => ({ counters: { kernel: mount.stats } }),
  }
}
