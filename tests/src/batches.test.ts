/**
 * The flags that change batches, for measurements: told by ping and by the number of system calls.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Outcome, run } from './kit/command.ts'
import { fetchTree } from './kit/fetchTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { Server, TAP_ADDRESS } from './kit/server.ts'
import { makeTree, type Tree } from './kit/tree.ts'

const OWN = '10.99.0.7'
const timeout = 120_000

describe('batches', { ...needs('root', 'tun', 'ip', 'ping'), timeout }, () => {
  let near: Namespace
  let far: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(20)
    near = new Namespace()
    far = new Namespace()
    near.connect('web0', '10.99.0.1/24', far, 'client0', '10.99.0.2/24')
  })
  afterEach(() => server?.kill())
  after(() => {
    near?.remove()
    far?.remove()
    tree?.remove()
  })

  /** By the far end. */
  function framesSent(): number {
    const [link] = JSON.parse(far.ip('-json', '-s', 'link', 'show', 'client0'))
    return link.stats64.tx.packets
  }

  /** System calls for 60 pings that are there at once: they come while the server stands still. */
  async function syscallsFor(...flags: string[]): Promise<number> {
    const link = ['--device', 'packet:web0', '--address', `${OWN}/24`, '--trust-address']
    const args = [tree.dir, ...link, ...flags]
    server = await Server.serve(args, { namespace: near })
    const ping = (count: string): Promise<Outcome> =>
      run(['ping', '-n', '-c', count, '-l', count, '-W', '5', OWN], { namespace: far })
    assert.equal((await ping('1')).code, 0, 'the far end knows who has the address')
    process.kill(server.pid, 'SIGSTOP')
    const before = framesSent()
    const many = ping('60')
    while (framesSent() < before + 60) await new Promise(resolve => setTimeout(resolve, 20))
    process.kill(server.pid, 'SIGCONT')
    assert.match((await many).stdout, / 60 received/)
    await server.stop()
    return server.stats.device.syscalls
  }

  it('of what has come: few system calls for many answers', async () => {
    const syscalls = await syscallsFor()
    assert.ok(syscalls < 40, `${syscalls} system calls`)
  })

  it('of one frame: a system call for each answer', async () => {
    const syscalls = await syscallsFor('--rx-batch', '1')
    assert.ok(syscalls >= 60, `${syscalls} system calls`)
  })

  it('of one frame, brought together by a transmit delay', async () => {
    const syscalls = await syscallsFor('--rx-batch', '1', '--tx-delay', '1000')
    assert.ok(syscalls < 40, `${syscalls} system calls`)
  })

  it('of one frame serve a tree', async () => {
    server = await Server.serve([tree.dir, '--device', 'tap', '--rx-batch', '1'], {
      namespace: near,
    })
    assert.deepEqual((await fetchTree(server.url, tree.files, { namespace: near })).wrong, [])
    await server.stopDrained()
  })

  it('leave after the transmit delay and not before, and serve a tree', async () => {
    const args = [tree.dir, '--device', 'tap', '--tx-delay', '1000']
    server = await Server.serve(args, { namespace: near })
    const ping = ['ping', '-n', '-c', '5', '-i', '0.05', '-W', '5', TAP_ADDRESS]
    const { stdout } = await run(ping, { namespace: near })
    const least = Number(/^rtt min\S* = ([\d.]+)/m.exec(stdout)?.[1])
    assert.ok(least >= 1, `the quickest of\n${stdout}`)
    assert.deepEqual((await fetchTree(server.url, tree.files, { namespace: near })).wrong, [])
    await server.stopDrained()
  })
})
