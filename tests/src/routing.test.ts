/** Several addresses, and clients beyond a router: TAP, with the host as that router. */

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { fetchTree } from './kit/fetchTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { HOST_ADDRESS, Server, TAP_ADDRESS } from './kit/server.ts'
import { makeTree, type Tree } from './kit/tree.ts'

describe('routing over TAP', { ...needs('root', 'tun', 'ip'), timeout: 300_000 }, () => {
  /** The host, with the TAP; and a client that only the host can reach. */
  let host: Namespace
  let client: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(20)
    host = new Namespace()
    client = new Namespace()
    host.connect('toclient', '10.88.0.1/24', client, 'tohost', '10.88.0.2/24')
    host.sysctl('net.ipv4.ip_forward', 1)
    client.ip('route', 'add', 'default', 'via', '10.88.0.1')
  })
  afterEach(() => server?.kill())
  after(() => {
    client?.remove()
    host?.remove()
    tree?.remove()
  })

  const serve = async (...flags: string[]): Promise<Server> => {
    server = await Server.serve([tree.dir, '--device', 'tap', ...flags], { namespace: host })
    return server
  }

  it('a client behind a router is answered through the gateway, and one on the link directly', async () => {
    const started = await serve('--gateway', HOST_ADDRESS)
    for (const namespace of [client, host]) {
      assert.deepEqual(
        (await fetchTree(`http://${TAP_ADDRESS}`, tree.files, { namespace })).wrong,
        [],
      )
    }
    await started.stopDrained()
  })

  it('every address answers, in whatever subnet', async () => {
    const others = ['10.77.0.3', '10.99.0.5']
    const started = await serve(
      '--address',
      TAP_ADDRESS,
      ...others.flatMap(one => ['--address', `${one}/32`]),
    )
    host.ip('route', 'add', '10.99.0.5', 'dev', 'sand0')
    const files = tree.files.slice(0, 5)
    for (const address of [TAP_ADDRESS, ...others]) {
      assert.deepEqual((await fetchTree(`http://${address}`, files, { namespace: host })).wrong, [])
    }
    await started.stopDrained()
  })
})
