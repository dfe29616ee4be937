/**
 * Content that changes while packet threads die: whoever takes their place serves what is served by
 * then, and what the dead held is free.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkConfig } from '../src/config.ts'
import type { ContentStats } from '../src/content/live.ts'
import { type OwnStack, startOwnStack } from '../src/instance/ownStack.ts'
import { needsTap, ownNamespace } from './kit/ownNamespace.ts'
import { RawClient } from './rawClient.ts'

const ADDRESS = '10.77.0.2'
const CLIENTS = 12
const GET = 'GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n'
/** More than the buffers of a client that does not read hold. */
const BODY_BYTES = 8 << 20
const STEP_MS = 20

describe('content that changes while packet threads die', {
  ...needsTap(),
  timeout: 300_000,
}, () => {
  let root: string
  let instance: OwnStack
  let clients: RawClient[] = []
  before(() => {
    ownNamespace()
    root = mkdtempSync(join(tmpdir(), 'sandstorm-reload-'))
  })
  afterEach(async () => {
    for (const { socket } of clients) socket.destroy()
    clients = []
    await instance?.stop()
  })
  after(() => rmSync(root, { recursive: true }))

  const body = (n: number): Buffer => Buffer.alloc(BODY_BYTES, `${n},`)
  function replace(n: number): void {
    writeFileSync(join(root, '.next'), body(n))
    renameSync(join(root, '.next'), join(root, 'a.txt'))
  }
  async function content(): Promise<ContentStats> {
    const { counters } = await instance.metrics()
    return (counters as { content: ContentStats }).content
  }
  /** Waits until the content is as it should be; the test's own limit ends it. */
  async function until(isSo: (stats: ContentStats) => boolean): Promise<ContentStats> {
    let stats = await content()
    for (; !isSo(stats); stats = await content()) await sleep(STEP_MS)
    return stats
  }
  async function start(workers: number): Promise<void> {
    replace(1)
    const config = checkConfig({ root, device: ['tap'], workers: `${workers}`, memory: '512MiB' })
    instance = await startOwnStack(config, { info: () => {}, warn: () => {}, stats: () => {} }, [])
  }
  const connect = async (): Promise<RawClient> => {
    const client = await RawClient.to(80, ADDRESS)
    clients.push(client)
    return client
  }
  /** Asks, and takes the first bytes only. */
  async function begin(): Promise<void> {
    const { socket } = await connect()
    socket.removeAllListeners('data')
    socket.write(GET)
    await new Promise(resolve => socket.once('data', resolve))
    socket.pause()
  }
  async function ask(): Promise<Buffer> {
    const client = await connect()
    client.send(GET)
    return (await client.answer()).body
  }
  async function kill(worker: number): Promise<void> {
    const { threads } = instance.servers[0]
    const dying = threads[worker]
    await dying.kill()
    while (threads[worker] === dying) await new Promise(setImmediate)
    await threads[worker].ready
  }

  test('what they held is free, and their successors serve what is there', async () => {
    await start(2)
    const { freeBytes } = await until(({ retired }) => retired === 0)
    await Promise.all(Array.from({ length: CLIENTS }, begin))
    const { generation } = await content()
    replace(2)
    const held = await until(stats => stats.generation > generation && stats.retired > 0)
    assert.ok(held.freeBytes <= freeBytes - BODY_BYTES)
    await kill(0)
    assert.equal(
      (await until(({ retired }) => retired > 0)).retired > 0,
      true,
      'the other holds it',
    )
    await kill(1)
    const { freeBytes: freed } = await until(({ retired }) => retired === 0)
    assert.ok(Math.abs(freed - freeBytes) < 1000)
    for (let i = 0; i < 4; i++) assert.ok((await ask()).equals(body(2)))
  })

  test('a generation that comes while a thread is replaced reaches its successor', async () => {
    await start(1)
    await until(({ retired }) => retired === 0)
    const replaced = kill(0)
    replace(2)
    await instance.reload?.(checkConfig({ root, device: ['tap'], memory: '512MiB' }))
    await replaced
    assert.ok((await ask()).equals(body(2)))
    replace(3)
    // The test's own limit ends it.
    while (!(await ask()).equals(body(3))) await sleep(STEP_MS)
    await until(({ retired }) => retired === 0)
  })
})
