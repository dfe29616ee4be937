/** An instance on the kernel's TCP (node:net): the same HTTP and content without our stack. */
import type { ServeConfig } from '../config.ts'
import { ContentFollower } from '../content/follow.ts'
import { isMuchToRead, LiveContent } from '../content/live.ts'
import { attachContent } from '../content/table.ts'
import { Fronts, storedBytesMax } from '../front/fronts.ts'
import { inlineLess } from '../inlining.ts'
import { AccessRing } from '../log/accessRing.ts'
import { type KernelMount, mountOnKernel } from '../mount/kernelMount.ts'
import type { Instance, Log } from './instance.ts'

type Rings = readonly SharedArrayBuffer[]

/**
 * Loads the content, opens the fronts of origins, and listens; answers are noted in the first of
 * `rings`, if there is one. Throws errors that are one clear line.
 */
export async function startKernelInstance(
  config: ServeConfig,
  log: Log,
  rings: Rings,
): Promise<Instance> {
  const fronts = await Fronts.open(config.sites)
  try {
    const live = await inlineLess(() =>
      LiveContent.open(config.sites, {
        memoryBytes: config.memoryBytes,
        onWarning: line => log.warn(line),
        onProgress: log.onProgress,
        isEarly: isMuchToRead,
        hitBytes: storedBytesMax(config.sites),
        stallTimeoutMs: config.limits.stallTimeoutMs,
      }),
    )
    fronts?.publish(live.hits)
    return instanceOn(await mount(config, rings, live, fronts), config, log, live, fronts)
  } catch (error) {
    await fronts?.close()
    throw error
  }
}

function mount(
  config: ServeConfig,
  rings: Rings,
  live: LiveContent,
  fronts: Fronts | undefined,
): Promise<KernelMount> {
  const { address, port, connections } = config.kernel
  const { limits } = config
  const { shared } = live.attach(mail => content.take(mail))
  const content = attachContent(shared)
  return mountOnKernel(content, {
    host: address,
    port,
    limits: { ...limits, maxConnections: connections, http: limits },
    accessLog: rings.length === 0 ? undefined : new AccessRing(rings[0]),
    pieces: live.pieces,
    fronts,
  })
}

function instanceOn(
  mounted: KernelMount,
  config: ServeConfig,
  log: Log,
  live: LiveContent,
  fronts: Fronts | undefined,
): Instance {
  const follower = new ContentFollower(live, {
    sites: config.sites,
    onWarning: line => log.warn(line),
  })
  let end: (value: { code: number; message: string }) => void = () => {}
  const done = new Promise<{ code: number; message: string }>(resolve => {
    end = resolve
  })
  return {
    endpoints: [{ url: `http://${mounted.address}:${mounted.port}/`, device: 'kernel' }],
    stop: async () => {
      await follower.close()
      await mounted.close()
      await fronts?.close()
      await live.close()
      log.stats({ connections: mounted.stats.open, ...mounted.stats, ...fronts?.stats })
      end({ code: 0, message: '' })
    },
    done,
    reload: ({ sites }) => follower.reload(sites),
    metrics: async () => ({
      counters: {
        kernel: mounted.stats,
        content: live.stats(),
        paging: live.pagingStats,
        ...fronts?.stats,
      },
    }),
    ...(fronts === undefined ? {} : { store: fronts }),
  }
}
