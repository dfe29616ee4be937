/**
 * `--workers`, `--cpus` and several `--device`s, as real clients see them: the whole tree arrives
 * whichever queue a packet came to, and what of several threads is looked at is all of them.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { assertArrives } from './kit/arrives.ts'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, commandLine, runCommand, Server } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree } from './kit/tree.ts'
import { causedByServer, expertFindings } from './kit/tshark.ts'

const WORKERS = 2
const timeout = 300_000

describe('several workers', {
  ...needs('root', 'tun', 'ip', 'curl', 'ping', 'wrk'),
  timeout,
}, () => {
  let near: Namespace
  let far: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(60)
    near = new Namespace()
    far = new Namespace()
    near.connect('web0', '10.99.0.1/24', far, 'client0', '10.99.0.2/24', WORKERS)
    near.ip('addr', 'add', 'fd99::1/64', 'dev', 'web0', 'nodad')
    far.ip('addr', 'add', 'fd99::2/64', 'dev', 'client0', 'nodad')
    near.connect('web1', '10.98.0.1/24', far, 'client1', '10.98.0.2/24', WORKERS)
    // One queue for two workers: what comes to it for the other is handed over.
    near.connect('web2', '10.97.0.1/24', far, 'client2', '10.97.0.2/24')
  })
  afterEach(async () => {
    await server?.kill()
    server = undefined
  })
  after(() => {
    near?.remove()
    far?.remove()
    tree?.remove()
  })

  const serve = (...flags: string[]): Promise<Server> =>
    Server.serve([tree.dir, '--workers', `${WORKERS}`, ...flags], { namespace: near })

  for (const [device, own, flags, client] of [
    ['tap', '10.77.0.2', [], 'near'],
    ['packet:web0', '10.99.0.1', [], 'far'],
    ['packet:web0', '10.99.0.7', ['--address', '10.99.0.7/24', '--address6', 'fd99::7/64'], 'far'],
    ['xdp:web0', '10.99.0.1', [], 'far'],
    ['xdp:web0', '10.99.0.7', ['--address', '10.99.0.7/24', '--address6', 'fd99::7/64'], 'far'],
    ['packet:web2', '10.97.0.1', [], 'far'],
  ] as const) {
    it(`serve a tree at ${own} on ${device}`, async () => {
      const namespace = client === 'near' ? near : far
      server = await serve('--device', device, '--cpus', '0', ...flags)
      assert.equal(server.url, `http://${own}:80`)
      await assertArrives(server.url, tree.files, namespace)
      if (device.endsWith('web0')) {
        const six = own.endsWith('.1') ? 'fd99::1' : 'fd99::7'
        await assertArrives(`http://[${six}]`, tree.files, namespace)
      }
      const { code } = await run(['ping', '-c', '1', '-W', '2', own], { namespace })
      assert.equal(code, 0, 'ping')
      const load = await run(['wrk', '-t1', '-c32', '-d1', `${server.url}/`], { namespace })
      assert.match(load.stdout, /Requests\/sec/)
      assert.doesNotMatch(load.stdout, /Socket errors/)
      await server.stopDrained()
    })
  }

  it('hand over what comes to the wrong queue', async () => {
    // The far end has two queues to send by, and the kernel's own idea of which one.
    server = await serve('--device', 'xdp:web0')
    await assertArrives(server.url, tree.files, far)
    const { device } = await server.stopDrained()
    assert.ok(device['rxHandedOver'] > 0)
    assert.equal(device['rxDropped'], 0)
  })

  it('are pinned to the CPUs that were named, in turn', async () => {
    server = await serve('--device', 'tap', '--cpus', '0,0')
    const pinned = readdirSync(`/proc/${server.pid}/task`).filter(task => {
      const status = readFileSync(`/proc/${server?.pid}/task/${task}/status`, 'utf8')
      return /^Cpus_allowed_list:\t0$/m.test(status)
    })
    assert.ok(pinned.length >= WORKERS, `${pinned.length} threads on CPU 0`)
    assert.ok(!pinned.includes(`${server.pid}`), 'the main thread is not')
    await server.stopDrained()
  })

  it('cannot be pinned to a CPU that is not there', async () => {
    const flags = ['--workers', '2', '--cpus', '1023']
    const outcome = await runCommand(['serve', tree.dir, '--device', 'tap', ...flags], near)
    assertRefused(outcome, /CPU 1023/)
  })

  it('write a capture each, in which tshark finds nothing wrong', needs('tshark'), async () => {
    const { path } = temporaryFolder('pcap')
    near.sysctl('net.ipv4.tcp_sack', 0)
    server = await serve('--device', 'tap', '--pcap', join(path, 'run.pcapng'))
    const { wrong } = await curlTree(server.url, tree.files, { namespace: near, close: true })
    assert.deepEqual(wrong, [])
    await server.stopDrained()
    near.sysctl('net.ipv4.tcp_sack', 1)
    const files = readdirSync(path).sort()
    assert.deepEqual(files, ['run.sand0-0.pcapng', 'run.sand0-1.pcapng'])
    for (const file of files) {
      const findings = await expertFindings(join(path, file), '10.77.0.2')
      assert.ok(findings.length > 0, 'connections that are closed, at least')
      assert.deepEqual(causedByServer(findings), [])
    }
  })

  it('serve on several devices at once, of which one may go away', async () => {
    const devices = ['tap', 'packet:web0', 'xdp:web1'].flatMap(device => ['--device', device])
    const env = { SANDSTORM_RUNTIME_DIR: temporaryFolder('control').path }
    const args = [tree.dir, '--workers', '2', ...devices]
    server = await Server.serve(args, { namespace: near, env })
    for (let ms = 0; server.stdout.split('\n').length < 4 && ms < 5000; ms += 50) {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    assert.equal(
      server.stdout,
      'listening on http://10.77.0.2:80/ (device tap:sand0)\n' +
        'listening on http://10.99.0.1:80/ (device packet:web0)\n' +
        'listening on http://10.98.0.1:80/ (device xdp:web1)\n',
    )
    await Promise.all([
      assertArrives('http://10.77.0.2', tree.files, near),
      assertArrives('http://10.99.0.1', tree.files, far),
      assertArrives('http://10.98.0.1', tree.files, far),
    ])
    const { stdout } = await run(commandLine('conns', '--json', 'xdp:web1'), { env })
    assert.match(stdout, /"device":"tap:sand0, packet:web0, xdp:web1"/)
    near.ip('link', 'delete', 'web1')
    await assertArrives('http://10.99.0.1', tree.files, far)
    assert.match(server.stderr, /^sandstorm: xdp:web1 was removed \(E[A-Z]+\); the others go on$/m)
    await server.stop('SIGTERM')
  })
})
