/**
 * Several packet threads on one TAP, and what happens when one of them dies, which takes a mistake
 * of ours: here it is ended in the middle of its work.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { checkConfig, type ServeFlags } from '../src/config.ts'
import { type OwnStack, startOwnStack } from '../src/instance/ownStack.ts'
import type { ServerStats } from '../src/stats.ts'
import { needsTap, ownNamespace } from './kit/ownNamespace.ts'
import { RawClient } from './rawClient.ts'

const ADDRESS = '10.77.0.2'
const BODY = 'x'.repeat(30_000)
const CLIENTS = 24
const GET = 'GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n'

interface Run {
  readonly instance: OwnStack
  readonly warnings: string[]
  readonly stats: (ServerStats | undefined)[]
}

const timeout = 60_000

describe('packet threads', { ...needsTap(), timeout }, () => {
  let root: string
  before(() => {
    ownNamespace()
    root = mkdtempSync(join(tmpdir(), 'sandstorm-workers-'))
    writeFileSync(join(root, 'a.txt'), BODY)
  })
  after(() => rmSync(root, { recursive: true }))

  async function start(workers: number, flags: ServeFlags = {}): Promise<Run> {
    const warnings: string[] = []
    const stats: ServerStats[] = []
    const common = { root, device: ['tap'], workers: `${workers}`, memory: '256MiB' }
    const config = checkConfig({ ...common, ...flags })
    const log = {
      info: () => {},
      warn: (line: string) => warnings.push(line),
      stats: (counters: object) => stats.push(counters as ServerStats),
    }
    const instance = await startOwnStack(config, log, [])
    return { instance, warnings, stats }
  }

  const connectAll = (): Promise<RawClient[]> =>
    Promise.all(Array.from({ length: CLIENTS }, () => RawClient.to(80, ADDRESS)))

  /** Of each client: does it get its answer? */
  const askAll = (clients: readonly RawClient[]): Promise<boolean[]> =>
    Promise.all(
      clients.map(async client => {
        client.send(GET)
        const answer = await Promise.race([
          client.answer().catch(() => undefined),
          new Promise<undefined>(resolve => client.socket.once('close', () => resolve(undefined))),
        ])
        return answer?.body.toString() === BODY
      }),
    )

  /** Settles when so many of the clients are told that their connection is no more. */
  const areReset = (clients: readonly RawClient[], count: number): Promise<void> =>
    new Promise(resolve => {
      let left = count
      for (const { socket } of clients) socket.once('close', () => --left === 0 && resolve())
    })

  const dropAll = (clients: readonly RawClient[]): void => {
    for (const { socket } of clients) socket.destroy()
  }

  /** Ends a thread, and waits until another serves in its place. */
  async function replace({ instance }: Run, worker: number): Promise<void> {
    const { threads } = instance.servers[0]
    const before = threads[worker]
    await before.kill()
    while (threads[worker] === before) await new Promise(setImmediate)
    await threads[worker].ready
  }

  /** How many connections each thread has. */
  async function connectionsOf({ instance }: Run): Promise<number[]> {
    const { threads } = instance.servers[0]
    const replies = await Promise.all(threads.map(thread => thread.ask({ kind: 'stats' })))
    return replies.map(reply => (reply.kind === 'stats' ? reply.stats.inUse.connections : 0))
  }

  for (const worker of [0, 1])
    test(`worker ${worker} of 2 dies: its connections are reset, the other’s go on, and it is replaced`, async () => {
      const run = await start(2)
      const clients = await connectAll()
      assert.ok((await askAll(clients)).every(Boolean))
      const its = (await connectionsOf(run))[worker]
      assert.ok(its > 0 && its < CLIENTS, `${its} of ${CLIENTS}`)
      // They wait, and say nothing.
      const reset = areReset(clients, its)
      await replace(run, worker)
      await reset
      assert.deepEqual(run.warnings.length, 1)
      assert.match(
        run.warnings[0],
        new RegExp(`^worker ${worker} of tap:sand0 died and is replaced`),
      )
      const left = clients.filter(({ socket }) => !socket.destroyed)
      assert.equal(left.length, CLIENTS - its)
      assert.ok((await askAll(left)).every(Boolean))
      const others = await connectAll()
      assert.ok((await askAll(others)).every(Boolean))
      dropAll([...clients, ...others])
      await run.instance.stop()
      assert.deepEqual(await run.instance.done.then(({ code }) => code), 0)
    })

  test('both share the connections, and count them together', async () => {
    const run = await start(2)
    const clients = await connectAll()
    assert.ok((await askAll(clients)).every(Boolean))
    const counts = await connectionsOf(run)
    assert.ok(
      counts.every(count => count > 0 && count < CLIENTS),
      `${counts}`,
    )
    const stats = await run.instance.inspector?.stats()
    assert.equal(stats?.inUse.connections, CLIENTS)
    dropAll(clients)
    await run.instance.stop()
    assert.equal(run.stats[0]?.http.requests, CLIENTS)
    assert.equal(run.stats[0]?.device.rxHandedOver, 0, 'the kernel brings everything to its worker')
  })

  test('one that is alone is replaced too', async () => {
    const run = await start(1)
    await replace(run, 0)
    const clients = await connectAll()
    assert.ok((await askAll(clients)).every(Boolean))
    dropAll(clients)
    await run.instance.stop()
    assert.match(run.warnings.join('\n'), /^the packet thread of tap:sand0 died and is replaced/)
  })

  test('one that knew of a conflict has a successor that asks again', needsTap('ip'), async () => {
    for (const line of [
      'link add br0 type bridge',
      'addr add 10.99.0.1/24 dev br0',
      'link set br0 up',
    ])
      execFileSync('ip', line.split(' '))
    const there = { bridge: 'br0', address: ['10.99.0.9/24'] }
    const owner = await start(1, { ...there, device: ['tap:sand1'] })
    dropAll([await RawClient.to(80, '10.99.0.9')])
    const run = await start(1, there)
    const isConflict = (line: string): boolean => line.includes('our address 10.99.0.9')
    const areTold = async (count: number): Promise<void> => {
      while (run.warnings.filter(isConflict).length < count) await setTimeout(10)
    }
    await areTold(1)
    await replace(run, 0)
    await areTold(2)
    await Promise.all([run.instance.stop(), owner.instance.stop()])
    assert.deepEqual(owner.warnings, [], 'neither has used or announced it')
  })

  test('where that is no help it all ends, and says so', async () => {
    const run = await start(2)
    for (let i = 0; i < 2; i++) await replace(run, 1)
    await run.instance.servers[0].threads[1].kill()
    const { code, message } = await run.instance.done
    assert.equal(code, 1)
    assert.match(message, /^the packet thread failed: /)
    assert.equal(run.warnings.length, 2)
  })
})
