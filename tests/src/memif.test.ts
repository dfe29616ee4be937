/**
 * Our stack at a memif socket. The clients are the kernel's, at the other end of a cable; between
 * cable and socket is DPDK's testpmd, in the other role.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { assertArrives } from './kit/arrives.ts'
import { run } from './kit/command.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, runCommand, Server } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { Testpmd } from './kit/testpmd.ts'
import { makeTree, type Tree } from './kit/tree.ts'

const tools = needs('root', 'ip', 'curl', 'dpdk-testpmd', 'ethtool', 'ping', 'wrk')
const ADDRESSES = ['--address', '10.99.0.9/24', '--address6', 'fd99::9/64']
const URLS = ['http://10.99.0.9', 'http://[fd99::9]']
const LIMIT_MS = 10_000

describe('at a memif socket', { ...tools, timeout: 300_000 }, () => {
  let middle: Namespace
  let client: Namespace
  let tree: Tree
  let socket: string
  let server: Server | undefined
  let testpmd: Testpmd | undefined

  before(() => {
    tree = makeTree(60)
    middle = new Namespace()
    middle.sysctl('net.ipv6.conf.all.disable_ipv6', 1)
  })
  beforeEach(async () => {
    // Each server has a hardware address of its own, and each client has to learn it.
    client = new Namespace()
    middle.ip('link', 'add', 'port0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', client.name)
    middle.ip('link', 'set', 'port0', 'up')
    client.ip('addr', 'add', '10.99.0.2/24', 'dev', 'eth0')
    client.ip('addr', 'add', 'fd99::2/64', 'dev', 'eth0', 'nodad')
    client.ip('link', 'set', 'eth0', 'up')
    // What testpmd takes from its interface goes into memif as it is: checksums have to be there.
    await run(['ethtool', '-K', 'eth0', 'tx', 'off', 'tso', 'off'], { namespace: client })
    socket = join(temporaryFolder('memif').path, 'memif.sock')
  })
  afterEach(async () => {
    await testpmd?.kill()
    await server?.kill()
    testpmd = undefined
    server = undefined
    // A namespace takes its interfaces with it, but not at once.
    if (middle.interfaces().includes('port0')) middle.ip('link', 'delete', 'port0')
    client?.remove()
  })
  after(() => {
    middle?.remove()
    tree?.remove()
  })

  const serve = async (role: 'client' | 'server', ...flags: string[]): Promise<Server> => {
    const device = ['--device', `memif:${socket}`, '--memif-role', role]
    return Server.serve([tree.dir, ...device, ...ADDRESSES, ...flags])
  }
  const bridge = (role: 'client' | 'server', queues = 1): Promise<Testpmd> =>
    Testpmd.bridge({ namespace: middle, interfaceName: 'port0', socket, role, queues })

  /** Waits until a client gets through. */
  async function isReached(): Promise<void> {
    for (const end = Date.now() + LIMIT_MS; ; ) {
      const argv = ['curl', '-s', '-o', '/dev/null', '-m', '1', `${URLS[0]}/`]
      if ((await run(argv, { namespace: client })).code === 0) return
      assert.ok(Date.now() < end, 'nobody answers')
    }
  }

  async function assertAllArrives(): Promise<void> {
    for (const url of URLS) await assertArrives(url, tree.files, client)
  }

  for (const [role, other, workers] of [
    ['client', 'server', 1],
    ['server', 'client', 1],
    ['client', 'server', 2],
  ] as const)
    it(`serves a tree as ${role}, with ${workers} queue${workers > 1 ? 's' : ''}`, async () => {
      server = await serve(role, '--workers', `${workers}`)
      assert.equal(server.device, `memif:${socket}`)
      testpmd = await bridge(other, workers)
      await isReached()
      await assertAllArrives()
      const ping = await run(['ping', '-c', '1', '-W', '2', '10.99.0.9'], { namespace: client })
      assert.equal(ping.code, 0)
      const load = ['wrk', '-t1', '-c16', '-d1', `${URLS[0]}/`]
      const { stdout } = await run(load, { namespace: client })
      assert.match(stdout, /Requests\/sec/)
      assert.doesNotMatch(stdout, /Socket errors/)
      await server.stopDrained()
      // testpmd refuses who comes before it has begun, or says nothing for a while.
      const complaints = server.stderr.replace(/^(stats|.*(ID not found|says nothing)).*\n/gm, '')
      assert.equal(complaints, '')
      assert.equal(existsSync(socket), role === 'client', 'a server takes its socket with it')
    })

  it('goes on with the next peer when one crashes', async () => {
    server = await serve('server')
    for (let i = 0; i < 2; i++) {
      testpmd = await bridge('client')
      await isReached()
      await testpmd.kill()
    }
    testpmd = await bridge('client')
    await isReached()
    assert.match(server.stderr, /^sandstorm: memif:.*: the peer has gone$/m)
    await server.stopDrained()
  })

  it('leaves nothing after kill -9 that keeps the next start from its work', async () => {
    server = await serve('server')
    const second = await runCommand([
      'serve',
      tree.dir,
      '--device',
      `memif:${socket}`,
      '--memif-role',
      'server',
      ...ADDRESSES,
    ])
    assertRefused(second, /address already in use/)
    await server.kill()
    server = await serve('server')
    testpmd = await bridge('client')
    await isReached()
    await server.stopDrained()
  })

  it('refuses a socket where there can be none', async () => {
    const device = ['--device', 'memif:/nowhere/x.sock', '--memif-role', 'server']
    assertRefused(
      await runCommand(['serve', tree.dir, ...device, ...ADDRESSES]),
      /\/nowhere\/x.sock/,
    )
  })
})
