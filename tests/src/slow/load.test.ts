/**
 * Many clients at once, and clients that mean no good: the server answers every request of a load
 * generator, outlives a burst of SYNs whose handshakes nobody ends, and holds nothing afterwards.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { run } from '../kit/command.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server, TAP_ADDRESS } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

/** Fewer than the server has connection records: a burst, not a benchmark. */
const SYN_COUNT = '2000'

describe('under load', { ...needs('root', 'tun', 'ip'), timeout: 300_000 }, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server

  before(() => {
    tree = makeTree(60)
    namespace = new Namespace()
  })
  afterEach(() => server?.kill())
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  for (const header of ['keep-alive', 'close']) {
    it(`answers every request of wrk with 64 connections, ${header}`, needs('wrk'), async () => {
      server = await Server.serve([tree.dir, '--device', 'tap'], { namespace })
      const { path } = tree.files.find(file => file.bytes === 22 * 1024)!
      const wrk = ['wrk', '-t', '1', '-c', '64', '-d', '4', '-H', `Connection: ${header}`]
      const { code, stdout, stderr } = await run([...wrk, server.url + path], { namespace })
      assert.equal(code, 0, stderr)
      assert.doesNotMatch(stdout, /Socket errors|Non-2xx/)
      assert.ok(Number(/(\d+) requests in/.exec(stdout)?.[1]) > 1000, stdout)
      await server.stopDrained()
    })
  }

  const burst = async (...flags: string[]): Promise<void> => {
    server = await Server.serve([tree.dir, '--device', 'tap'], { namespace })
    const syns = ['--syn', '--destport', '80', '--count', SYN_COUNT, '--interval', 'u100']
    await run(['hping3', ...syns, ...flags, '--quiet', TAP_ADDRESS], { namespace })
    assert.ok(server.isRunning, server.stderr)
    assert.deepEqual((await fetchTree(server.url, tree.files, { namespace })).wrong, [])
  }

  it('outlives a burst of SYNs whose sender resets the handshakes', needs('hping3'), async () => {
    await burst()
    await server.stopDrained()
  })

  it('outlives a burst of SYNs from senders that do not exist', needs('hping3'), async () => {
    await burst('--rand-source')
    // RFC 9293 §3.8.3 keeps a handshake for a minute at least: these are still half open.
    await server.stop()
    const { connections } = server.stats.inUse
    assert.ok(connections <= Number(SYN_COUNT), `${connections} connections`)
  })
})
