/**
 * The same site on both mounts: our own TCP over a link in memory, and the kernel's. A test is
 * given a way to ask, and is run once on each.
 */
import { type TestContext, test } from 'node:test'
import type { Content } from '../../src/content/content.ts'
import { type KernelLimits, mountOnKernel } from '../../src/mount/kernelMount.ts'
import { RequestRate } from '../../src/mount/requestRate.ts'
import type { Site } from '../../src/site/site.ts'
import { load, makeTree } from '../contentTree.ts'
import { RawClient } from '../rawClient.ts'
import { type Answer, parseAnswers } from './response.ts'
import { World } from './world.ts'

/** When all is asked: Sun, 06 Nov 1994 08:49:37 GMT. */
export const NOW_SEC = 784111777

export interface Asked {
  readonly method?: string
  readonly fields?: Readonly<Record<string, string>>
}

export interface MountedSite {
  readonly content: Content
  /** Asks for a target on a connection of its own; `Host: a`, unless the fields say otherwise. */
  get(target: string, asked?: Asked): Promise<Answer>
  /**
   * Sends these bytes; the answers to requests with these methods, and the end of the connection.
   */
  send(text: string, methods: readonly string[]): Promise<Answer[]>
}

/** What both mounts limit. */
type MountedLimits = Partial<
  Pick<KernelLimits, 'requestsPerConnection' | 'requestsPerSecond' | 'http'>
>
type Body = (site: MountedSite, t: TestContext) => Promise<void>

/** Runs `body` on both mounts, over a folder of `files`. */
export function onBothMounts(
  name: string,
  files: Record<string, string | Uint8Array>,
  body: Body,
  options: Partial<Site> = {},
  limits: MountedLimits = {},
): void {
  test(`${name} (our TCP)`, async t => {
    const { content } = await loadWithRoom(t, files, options)
    const site = { content, bodies: new Map(), imageOf: () => 0, etagOf: () => '' }
    const { requestsPerSecond = 0, ...rest } = limits
    const rate =
      requestsPerSecond === 0
        ? undefined
        : new RequestRate(RequestRate.allocate(), 1, requestsPerSecond)
    const world = new World(site, { limits: rest, rate })
    await body(
      mounted(content, async text => throughWorld(world, text)),
      t,
    )
  })
  test(`${name} (kernel)`, async t => {
    const { content } = await load(makeTree(t, files), options)
    const mount = await mountOnKernel(content, {
      host: '127.0.0.1',
      port: 0,
      clock: () => NOW_SEC * 1000,
      limits,
    })
    t.after(() => mount.close())
    await body(
      mounted(content, text => throughKernel(mount.port, text)),
      t,
    )
  })
}

function loadWithRoom(
  t: TestContext,
  files: Record<string, string | Uint8Array>,
  options: Partial<Site>,
): Promise<{ content: Content }> {
  return load(makeTree(t, files), options, { memoryBytes: 96 << 20, stackBytes: 64 << 20 })
}

function mounted(content: Content, exchange: (text: string) => Promise<Uint8Array>): MountedSite {
  const send = async (text: string, methods: readonly string[]): Promise<Answer[]> =>
    parseAnswers(await exchange(text), methods)
  return {
    content,
    send,
    get: async (target, { method = 'GET', fields = {} } = {}) => {
      const all = { Host: 'a', ...fields, Connection: 'close' }
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
      const [answer] = await send(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, [method])
      return answer
    },
  }
}

function throughWorld(world: World, text: string): Uint8Array {
  const peer = world.connect({ mss: 1460, window: 65535, scale: 4 }).send(text)
  if (!world.runUntil(() => peer.ended)) throw new Error('the server does not end the connection')
  peer.fin()
  world.settle()
  return peer.stream
}

async function throughKernel(port: number, text: string): Promise<Uint8Array> {
  const client = await RawClient.to(port)
  client.send(text)
  const stream = await client.ended()
  client.close()
  return stream
}
