/** An instance on the kernel's TCP (node:net): the same HTTP and content without our stack. */
import type { ServeConfig } from '../config.ts'
import { openFilesMax } from '../content/fileSystem.ts'
import { ContentFollower } from '../content/follow.ts'
import { isMuchToRead, LiveContent } from '../content/live.ts'
import { attachContent } from '../content/table.ts'
import { Fronts, storedBytesMax } from '../front/fronts.ts'
import { inlineLess } from '../inlining.ts'
import { AccessRing } from '../log/accessRing.ts'
import { type KernelMount, mountOnKernel } from '../mount/kernelMount.ts'
import type { Instance, Log } from './instance.ts'

type Rings = readonly SharedArrayBuffer[]

/** Without clients: the program, its threads, listeners, logs. */
const OWN_FILES = 64
/** Of the others, what connections may take: files on disk take a quarter, and folders are read. */
const CONNECTIONS_SHARE = 5 / 8

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
    return instanceOn(await mount(config, rings, live, fronts, log), config, log, live, fronts)
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
  log: Log,
): Promise<KernelMount> {
  const { address, port } = config.kernel
  const { limits } = config
  const { shared } = live.attach(mail => content.take(mail))
  const content = attachContent(shared)
  return mountOnKernel(content, {
    host: address,
    port,
    limits: { ...limits, maxConnections: connectionsMax(config, log), http: limits },
    accessLog: rings.length === 0 ? undefined : new AccessRing(rings[0]),
    pieces: live.pieces,
    fronts,
  })
}

/**
 * Connections are files that the process may have open, and may not take them all: content could
 * not be read again then.
 */
function connectionsMax({ kernel: { connections } }: ServeConfig, log: Log): number {
  const files = openFilesMax(Number.POSITIVE_INFINITY)
  const most = Math.max(1, Math.floor((files - OWN_FILES) * CONNECTIONS_SHARE))
  if (connections <= most) return connections
  log.warn(
    `${most} connections at the same time at most, not ${connections}: ` +
      `this process may have ${files} files open; raise ulimit -n, or lower --connections`,
  )
  return most
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
