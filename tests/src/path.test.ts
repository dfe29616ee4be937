/**
 * Paths with a router, Linux's: a narrow link behind it that it tells of, and one that swallows
 * what is too large. And a client that knows ECN.
 *
 *     client's namespace ── veth ── router's namespace ── TAP ── our server
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { Server, type Stats, TAP_ADDRESS } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree } from './kit/tree.ts'
import { fieldsOf } from './kit/tshark.ts'

const URL = `http://${TAP_ADDRESS}:80`
const TAP = 'sand0'
/** The client's link is a part of the server's subnet, for which the router answers ARP. */
const SERVER = [
  '--device',
  'tap',
  '--address',
  `${TAP_ADDRESS}/16`,
  '--host-address',
  '10.77.0.1/16',
]
const ROUTER_ADDRESS = '10.77.128.1'
const CLIENT_ADDRESS = '10.77.128.2'
const ROUTER_END = 'path-r'
const CLIENT_END = 'path-c'

// RFC 9293 §3.1, RFC 3168 §5
const SYN = 0x002
const ECE = 0x040
const CWR = 0x080
const ECT_0 = 2
const AGAIN = 'tcp.analysis.retransmission'

const needed = needs('root', 'tun', 'ip', 'curl', 'ethtool', 'tshark')

describe('a path with a router', { ...needed, timeout: 300_000 }, () => {
  let router: Namespace
  let client: Namespace
  let tree: Tree
  let server: Server

  before(() => {
    tree = makeTree(12)
    router = new Namespace()
    client = new Namespace()
    router.ip('link', 'add', ROUTER_END, 'type', 'veth', 'peer', CLIENT_END, 'netns', client.name)
    router.ip('address', 'add', `${ROUTER_ADDRESS}/24`, 'dev', ROUTER_END)
    client.ip('address', 'add', `${CLIENT_ADDRESS}/24`, 'dev', CLIENT_END)
    router.ip('link', 'set', ROUTER_END, 'up')
    client.ip('link', 'set', CLIENT_END, 'up')
    // The client offers 1460 bytes, whatever its own link carries.
    client.ip('route', 'add', 'default', 'via', ROUTER_ADDRESS, 'advmss', '1460')
    router.sysctl('net.ipv4.ip_forward', 1)
  })
  beforeEach(() => {
    router.ip('link', 'set', ROUTER_END, 'mtu', '1500')
    client.ip('link', 'set', CLIENT_END, 'mtu', '1500')
  })
  after(async () => {
    await server?.kill()
    client?.remove()
    router?.remove()
    tree?.remove()
  })

  /** Serves the tree, fetches all of it and stops; the counters of the run. */
  async function fetch(...flags: string[]): Promise<Stats> {
    server = await Server.serve([tree.dir, ...SERVER, ...flags], { namespace: router })
    router.sysctl(`net.ipv4.conf.${TAP}.proxy_arp`, 1)
    router.sysctl(`net.ipv4.neigh.${TAP}.proxy_delay`, 0)
    assert.deepEqual((await curlTree(URL, tree.files, { namespace: client })).wrong, [])
    return await server.stopDrained()
  }

  for (const transmit of ['gather', 'copy']) {
    it(`follows a router that names its MTU, --transmit ${transmit}`, async () => {
      router.ip('link', 'set', ROUTER_END, 'mtu', '1280')
      const { tcp } = await fetch('--transmit', transmit)
      assert.ok(tcp['pathMtuReductions'] > 0)
      assert.equal(tcp['blackHoles'], 0)
    })
  }

  it('finds out that large packets vanish', async () => {
    client.ip('link', 'set', CLIENT_END, 'mtu', '1300')
    // A super-frame would pass whatever the MTU.
    const off = ['ethtool', '-K', ROUTER_END, 'tso', 'off', 'gso', 'off']
    assert.equal((await run(off, { namespace: router })).code, 0)
    const { tcp } = await fetch()
    assert.ok(tcp['blackHoles'] > 0)
    assert.equal(tcp['pathMtuReductions'], 0)
  })

  it('agrees on ECN with a client that offers it, and says so in every packet of data', async () => {
    // The kernel that this project is tested on has no queue that marks: echoes are ecn.test.ts's.
    client.sysctl('net.ipv4.tcp_ecn', 1)
    const pcap = join(temporaryFolder('ecn').path, 'run.pcapng')
    await fetch('--pcap', pcap)
    const fields = ['tcp.flags', 'tcp.len', 'ip.dsfield.ecn', AGAIN] as const
    const frames = await fieldsOf(pcap, `ip.src == ${TAP_ADDRESS} && tcp`, fields)
    const syns = frames.filter(frame => Number(frame['tcp.flags']) & SYN)
    const data = frames.filter(frame => Number(frame['tcp.len']) > 0)
    const others = frames.filter(frame => Number(frame['tcp.len']) === 0)
    const isMarked = (frame: (typeof frames)[number]): boolean =>
      Number(frame['ip.dsfield.ecn']) === ECT_0
    assert.ok(syns.length > 0 && data.some(isMarked))
    for (const syn of syns) assert.equal(Number(syn['tcp.flags']) & (ECE | CWR), ECE)
    assert.deepEqual(
      data.filter(frame => !isMarked(frame) && frame[AGAIN] === ''),
      [],
    )
    assert.deepEqual(
      others.filter(frame => Number(frame['ip.dsfield.ecn']) !== 0),
      [],
    )
  })
})
