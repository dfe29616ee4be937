/**
 * A VLAN of a bridge, and of a memif socket: clients in it reach us, others do not, and what is on
 * the wire is what tshark and the kernel take for tagged frames.
 */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { assertArrives } from './kit/arrives.ts'
import { Capture } from './kit/capture.ts'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { loadJson } from './kit/loadRuns.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, runCommand, Server, SITE } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree } from './kit/tree.ts'
import { countFrames, fieldsOf } from './kit/tshark.ts'
import { VlanRelay } from './kit/vlanRelay.ts'

const timeout = 300_000
const ADDRESSES = ['--address', '10.99.0.9/24', '--address6', 'fd99::9/64']
const URLS = ['http://10.99.0.9', 'http://[fd99::9]']
/** Frames that we have sent, whatever else they have. */
const FROM_US = '(arp.src.proto_ipv4 == 10.99.0.9 || ip.src == 10.99.0.9 || ipv6.src == fd99::9)'

const FIELDS = ['vlan.id', 'vlan.priority', 'arp.opcode', 'icmpv6.type', 'tcp.len'] as const

describe('a VLAN of a bridge', { ...needs('root', 'tun', 'ip', 'curl', 'tshark'), timeout }, () => {
  let net: Namespace
  let tree: Tree
  let server: Server | undefined
  let relay: VlanRelay | undefined

  before(() => {
    tree = makeTree(60, 1 << 20)
    net = new Namespace()
    net.ip('link', 'add', 'br0', 'type', 'bridge')
    net.ip('link', 'set', 'br0', 'up')
  })
  afterEach(async () => {
    await server?.kill()
    await leave()
    server = undefined
  })
  after(() => {
    net?.remove()
    tree?.remove()
  })

  async function serve(...flags: string[]): Promise<Server> {
    const args = [tree.dir, '--bridge', 'br0', '--vlan', '10', ...ADDRESSES, ...flags]
    server = await Server.serve(args, { namespace: net })
    return server
  }
  /** Makes the namespace's kernel a client in a VLAN. */
  async function join(vlan: number, offloads = true): Promise<void> {
    const addresses = ['10.99.0.1/24', 'fd99::1/64']
    const names = { access: 'access0', trunk: 'trunk0', bridge: 'br0' }
    relay = await VlanRelay.start(net, { ...names, addresses, vlan, offloads })
  }
  async function leave(): Promise<void> {
    await relay?.stop()
    relay = undefined
  }
  const ask = async (url: string): Promise<number> =>
    (await run(['curl', '-s', '-m', '2', '-o', '/dev/null', `${url}/`], { namespace: net })).code

  for (const [flags, offloads] of [
    [[], true],
    [[], false],
    [['--workers', '2'], true],
    [['--transmit', 'template'], false],
  ] as const) {
    const how = `${offloads ? 'with' : 'without'} offloads at the other end ${flags.join(' ')}`
    it(`has clients that a tree arrives at, ${how}`, async () => {
      const ours = await serve(...flags)
      await join(10, offloads)
      for (const url of URLS) await assertArrives(url, tree.files, net)
      const { device, drops } = await ours.stopDrained()
      assert.deepEqual([device['rxDropped'], device['txDropped']], [0, 0])
      assert.deepEqual([drops['tcp-checksum'] ?? 0, drops['eth-vlan'] ?? 0], [0, 0])
    })
  }

  it('is bridged by a bad network', async () => {
    await serve('--fault', 'drop=0.01,dup=0.01,corrupt=0.01,seed=3')
    await join(10)
    for (const url of URLS) {
      const files = tree.files.filter(({ bytes }) => bytes < 50_000)
      assert.deepEqual((await curlTree(url, files, { namespace: net })).wrong, [])
    }
  })

  it('has frames with its tag alone, large ones too, on the wire and in a capture of ours', async () => {
    const { path } = temporaryFolder('vlan')
    const [own, seen] = [`${path}/own.pcapng`, `${path}/seen.pcapng`]
    const ours = await serve('--pcap', own, '--trace')
    const capture = await Capture.start('sand0', seen, net)
    await join(10)
    for (const url of URLS)
      assert.equal((await curlTree(url, tree.files, { namespace: net })).wrong.length, 0)
    await capture.stop()
    await ours.stopDrained()
    for (const file of [own, seen]) {
      const frames = await fieldsOf(file, FROM_US, FIELDS)
      const tags = frames.map(frame =>
        FIELDS.slice(0, 2)
          .map(field => frame[field])
          .join(),
      )
      // A second tag would be a second number: 10,10.
      assert.deepEqual([...new Set(tags)], ['10,0'])
      const ofTcp = frames.filter(frame => frame['tcp.len'] !== '')
      assert.ok(ofTcp.some(frame => Number(frame['tcp.len']) > 1500))
      assert.ok(ofTcp.some(frame => frame['tcp.len'] === '0'))
      assert.ok(frames.some(frame => frame['arp.opcode'] === '2'))
      assert.ok(frames.some(frame => frame['icmpv6.type'] === '136'))
    }
    const bad = 'tcp.checksum.status == "Bad" || ip.checksum.status == "Bad"'
    const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE']
    assert.equal(await countFrames(own, bad, ...checks), 0)
    assert.match(ours.stdout, /> vlan 10, IP 10\.99\.0\.9\.80 > 10\.99\.0\.1\./)
  })

  it('is closed to other VLANs, and to who is in none', async () => {
    const ours = await serve()
    await join(11)
    for (const url of URLS) assert.notEqual(await ask(url), 0)
    await leave()
    net.ip('addr', 'add', '10.99.0.5/24', 'dev', 'br0')
    assert.notEqual(await ask(URLS[0]), 0)
    net.ip('addr', 'del', '10.99.0.5/24', 'dev', 'br0')
    await join(10)
    for (const url of URLS) assert.equal(await ask(url), 0)
    const { device } = await ours.stopDrained()
    assert.ok(device['rxOtherVlan'] >= 3)
  })

  it('of an interface that is there is an interface itself', async () => {
    for (const device of ['packet:eth7', 'xdp:eth7']) {
      const outcome = await runCommand(['serve', tree.dir, '--device', device, '--vlan', '10'], net)
      assertRefused(outcome, /--vlan: .* ip link add link eth7 name eth7\.10 type vlan id 10, /)
    }
    const kernel = ['serve', tree.dir, '--device', 'kernel', '--vlan', '10']
    assertRefused(await runCommand(kernel, net), /--vlan: works on our own stack/)
  })
})

describe('a VLAN at a memif socket', { timeout }, () => {
  it('has servers and generators of load that meet if they are in the same', async () => {
    const socket = `${temporaryFolder('vlan').path}/memif.sock`
    const device = ['--device', `memif:${socket}`]
    const server = await Server.serve([
      SITE,
      ...device,
      '--memif-role',
      'server',
      '--vlan',
      '10',
      ...ADDRESSES,
    ])
    const flags = [...device, '--address', '10.99.0.8/24', '-n', '500', '-c', '8', '-k']
    const { report, code } = await loadJson([`${URLS[0]}/`, ...flags, '--vlan', '10'])
    assert.deepEqual([report.requests, report.errors, code], [500, 0, 0])
    const other = await loadJson([`${URLS[0]}/`, ...flags, '--vlan', '11', '--timeout', '1'])
    assert.deepEqual([other.report.status, other.code], [{}, 1])
    const { device: counters } = await server.stopDrained()
    assert.ok(counters['rxOtherVlan'] > 0)
  })
})
