/**
 * Packet threads that die while an origin is asked: the origin is left, and who takes their place
 * goes on.
 */
import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContentStats } from '../src/content/live.ts'
import type { OwnStack } from '../src/instance/ownStack.ts'
import { gate } from './kit/cacheOrigin.ts'
import { FrontMount, type FrontOptions } from './kit/frontMount.ts'
import { httpOrigin } from './kit/httpOrigin.ts'
import { needsTap, ownNamespaceWithLoopback } from './kit/ownNamespace.ts'

const BEHIND = 'Host: x\r\n\r\n'
/** More than the buffers of a client that does not read hold. */
const BODY_BYTES = 16 << 20
const CLIENTS = 4

describe('a packet thread that dies while an origin is asked', {
  ...needsTap(),
  timeout: 300_000,
}, () => {
  before(ownNamespaceWithLoopback)

  const open = (t: TestContext, url: string, options?: FrontOptions): Promise<FrontMount> =>
    FrontMount.open('our TCP', t, url, options)
  async function kill({ instance }: FrontMount): Promise<void> {
    const { threads } = (instance as OwnStack).servers[0]
    const dying = threads[0]
    await dying.kill()
    while (threads[0] === dying) await new Promise(setImmediate)
    await threads[0].ready
  }
  async function freeBytes({ instance }: FrontMount): Promise<number> {
    const { counters } = await instance.metrics()
    return (counters as { content: ContentStats }).content.freeBytes
  }

  test('leaves the origin, and its successor asks again', async t => {
    const [arrived, left] = [gate(), gate()]
    const url = await httpOrigin((request, response) => {
      if (request.method === 'GET') response.end('alive')
      else arrived.open()
      response.on('close', () => left.open())
    })
    const front = await open(t, url)
    const client = await front.client()
    client.send(`POST / HTTP/1.1\r\n${BEHIND}`)
    await arrived.promise
    await kill(front)
    await left.promise
    assert.equal((await front.ask('/')).body, 'alive')
    client.send('x')
    await assert.rejects(client.answer(), 'its connection is lost')
  })

  test('gives back what was lent for its answers', async t => {
    const url = await httpOrigin((request, response) => {
      response.end(request.url === '/small' ? 'x' : Buffer.alloc(BODY_BYTES))
    })
    const front = await open(t, url, { origin: { cache: { objectBytes: 1024 } } })
    const free = await freeBytes(front)
    for (let n = 0; n < CLIENTS; n++) {
      const { socket } = await front.client()
      socket.pause()
      socket.write(`GET /${n} HTTP/1.1\r\n${BEHIND}`)
    }
    // The test's own limit ends it.
    while ((await freeBytes(front)) > free - CLIENTS * 1000) await sleep(5)
    await kill(front)
    while ((await freeBytes(front)) < free - 1000) {
      assert.equal((await front.ask('/small')).body, 'x')
    }
  })
})
