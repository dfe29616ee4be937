/**
 * The TAP as a port of a bridge: hosts on the other ports reach us at an address of theirs, as does
 * the bridge's own host, and two servers are there side by side.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, runCommand, Server } from './kit/server.ts'
import { makeTree, type Tree } from './kit/tree.ts'

const ADDRESSES = ['--address', '10.99.0.9/24', '--address6', 'fd99::9/64']

describe('on a bridge', { ...needs('root', 'tun', 'ip', 'curl', 'ping'), timeout: 300_000 }, () => {
  let host: Namespace
  let far: Namespace
  let tree: Tree
  const servers: Server[] = []

  before(() => {
    tree = makeTree(60)
    host = new Namespace()
    far = new Namespace()
    host.ip('link', 'add', 'br0', 'type', 'bridge')
    host.ip('link', 'set', 'br0', 'up')
    host.ip('addr', 'add', '10.99.0.1/24', 'dev', 'br0')
    host.ip('addr', 'add', 'fd99::1/64', 'dev', 'br0', 'nodad')
    host.ip('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', far.name)
    host.ip('link', 'set', 'port0', 'master', 'br0', 'up')
    far.ip('addr', 'add', '10.99.0.2/24', 'dev', 'eth0')
    far.ip('addr', 'add', 'fd99::2/64', 'dev', 'eth0', 'nodad')
    far.ip('link', 'set', 'eth0', 'up')
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.kill()
  })
  after(() => {
    host?.remove()
    far?.remove()
    tree?.remove()
  })

  async function serve(...flags: string[]): Promise<Server> {
    const args = [tree.dir, '--bridge', 'br0', ...flags]
    const server = await Server.serve(args, { namespace: host })
    servers.push(server)
    return server
  }

  it('serves the host and others, over IPv4 and IPv6, and answers ping', async () => {
    const server = await serve(...ADDRESSES, '--workers', '2')
    assert.deepEqual([server.device, server.url], ['tap:sand0', 'http://10.99.0.9:80'])
    for (const namespace of [host, far]) {
      for (const url of [server.url, 'http://[fd99::9]']) {
        assert.deepEqual((await curlTree(url, tree.files, { namespace, close: true })).wrong, [])
      }
      for (const address of ['10.99.0.9', 'fd99::9']) {
        const { code } = await run(['ping', '-c', '1', '-W', '3', address], { namespace })
        assert.equal(code, 0, address)
      }
    }
    await server.stopDrained()
    assert.deepEqual(host.interfaces().sort(), ['br0', 'port0'])
  })

  it('stands beside another server there', async () => {
    const one = await serve(...ADDRESSES)
    const two = await serve('--device', 'tap:sand1', '--address', '10.99.0.10/24')
    for (const { url } of [one, two]) {
      assert.deepEqual((await curlTree(url, tree.files, { namespace: far })).wrong, [])
    }
    for (const server of servers) await server.stopDrained()
  })

  it('leaves an address alone that somebody else there has, and says so', async () => {
    const server = await serve('--address', '10.99.0.2/24')
    const deadline = Date.now() + 5000
    while (server.stderr === '' && Date.now() < deadline) await setTimeout(50)
    assert.match(
      server.stderr,
      /another host on the link has, or wants, our address 10\.99\.0\.2$/m,
    )
    const owner = far.ip('-json', 'link', 'show', 'eth0')
    for (let i = 0; i < 3; i++) {
      host.ip('neigh', 'flush', 'dev', 'br0')
      assert.equal((await run(['ping', '-c', '1', '10.99.0.2'], { namespace: host })).code, 0)
      const [{ lladdr }] = JSON.parse(host.ip('-json', 'neigh', 'show', '10.99.0.2'))
      assert.equal(lladdr, JSON.parse(owner)[0].address)
    }
    await server.stopDrained()
  })

  it('asks for its address there before it uses it, unless it is told to trust it', async () => {
    for (const [flags, isAsked] of [
      [[], true],
      [['--trust-address'], false],
    ] as const) {
      const server = await serve('--address', '10.99.0.9/24', '--trace', ...flags)
      const deadline = Date.now() + 5000
      const isTold = (): boolean => server.stdout.includes('ARP, Announcement 10.99.0.9')
      while (!isTold() && Date.now() < deadline) await setTimeout(50)
      assert.ok(isTold())
      assert.equal(server.stdout.includes('ARP, Probe 10.99.0.9'), isAsked)
      await server.stopDrained()
      servers.pop()
    }
  })

  it('refuses what is no bridge, an address that is taken, and none', async () => {
    const refused = async (what: RegExp, ...flags: string[]): Promise<void> =>
      assertRefused(await runCommand(['serve', tree.dir, ...flags], host), what)
    await refused(
      /bridge br9.*there is br0.*ip link add br9 type bridge/,
      '--bridge',
      'br9',
      ...ADDRESSES,
    )
    await refused(/bridge port0: it is none/, '--bridge', 'port0', ...ADDRESSES)
    await refused(/--bridge: needs an address of ours there/, '--bridge', 'br0')
    await refused(/10\.99\.0\.1.*br0 has it/, '--bridge', 'br0', '--address', '10.99.0.1/24')
    assert.deepEqual(host.interfaces().sort(), ['br0', 'port0'])
  })
})
