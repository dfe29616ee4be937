/**
 * Linux clients over IPv6 against our own stack over TAP: every transmit strategy, small and large
 * packets, echo, captures, a bad network, and hosts that have no IPv6.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { Server, TAP_ADDRESS, TAP_ADDRESS6 } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree, type TreeFile } from './kit/tree.ts'
import { causedByServer, countFrames, expertFindings } from './kit/tshark.ts'

const URL = `http://[${TAP_ADDRESS6}]:80`
const timeout = 120_000

describe('IPv6 over TAP', { ...needs('root', 'tun', 'ip', 'curl'), timeout }, () => {
  let namespace: Namespace
  let tree: Tree
  let files: readonly TreeFile[]
  let server: Server | undefined

  before(() => {
    tree = makeTree(40)
    files = tree.files.filter(file => file.bytes <= 2_000_000)
    assert.ok(files.some(file => file.bytes >= 1_000_000) && files.length > 20)
    namespace = new Namespace()
  })
  afterEach(async () => {
    await server?.kill()
    server = undefined
  })
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  const serve = async (...flags: string[]): Promise<Server> => {
    server = await Server.serve([tree.dir, '--device', 'tap', ...flags], { namespace })
    return server
  }

  for (const transmit of ['template', 'gather', 'copy']) {
    for (const mtu of ['1280', '1500', '9000']) {
      it(`serves a tree, MTU ${mtu}, ${transmit}`, async () => {
        const started = await serve('--transmit', transmit, '--mtu', mtu)
        assert.deepEqual((await curlTree(URL, files, { namespace })).wrong, [])
        const few = files.slice(0, 10)
        assert.deepEqual((await curlTree(URL, few, { namespace, close: true })).wrong, [])
        await started.stopDrained()
      })
    }
  }

  it('serves a tree over a bad network', async () => {
    const started = await serve('--fault', 'drop=0.01,dup=0.01,corrupt=0.01,seed=6')
    const { wrong } = await curlTree(URL, files.slice(0, 20), { namespace })
    assert.deepEqual(wrong, [])
    await started.stopDrained()
  })

  it('answers on the address that it is told, and on its link-local one', async () => {
    await serve('--address6', 'fd00:1::5', '--host-address6', 'fd00:1::9')
    const addresses = namespace.ip('-6', 'addr', 'show', 'dev', 'sand0')
    assert.match(addresses, /inet6 fd00:1::9\/64 scope global nodad/)
    const [file] = files.filter(({ bytes }) => bytes === 22 * 1024)
    const own = await curlTree('http://[fd00:1::5]', [file], { namespace })
    assert.deepEqual(own.wrong, [])
    const neighbours = namespace.ip('-6', 'neigh', 'show', 'dev', 'sand0')
    const mac = /^fd00:1::5 lladdr (\S+)/m.exec(neighbours)?.[1] ?? neighbours
    const linkLocal = await curlTree(`http://[${linkLocalOf(mac)}%25sand0]`, [file], { namespace })
    assert.deepEqual(linkLocal.wrong, [])
  })

  it('answers ping', needs('ping'), async () => {
    await serve()
    for (const size of ['0', '56', '1232', '1400', '1452']) {
      const ping = ['ping', '-6', '-n', '-c', '3', '-i', '0.2', '-W', '5', '-s', size]
      const { code, stdout } = await run([...ping, TAP_ADDRESS6], { namespace })
      assert.equal(code, 0, stdout)
      assert.match(stdout, /3 packets transmitted, 3 received, 0% packet loss/)
    }
  })

  it('writes a capture in which tshark finds nothing wrong', needs('tshark'), async () => {
    const pcap = join(temporaryFolder('pcap').path, 'run.pcapng')
    namespace.sysctl('net.ipv4.tcp_sack', 0) // as in tap.test.ts
    const started = await serve('--pcap', pcap)
    for (const close of [false, true]) {
      assert.deepEqual((await curlTree(URL, files, { namespace, close })).wrong, [])
    }
    await started.stop()
    namespace.sysctl('net.ipv4.tcp_sack', 1)
    const opened = await countFrames(pcap, `tcp.flags.syn == 1 && ipv6.src == ${TAP_ADDRESS6}`)
    assert.ok(opened > files.length, `${opened} connections in the capture`)
    const bad = 'tcp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad"'
    assert.equal(await countFrames(pcap, bad, '-o', 'tcp.check_checksum:TRUE'), 0)
    const findings = await expertFindings(pcap, TAP_ADDRESS6)
    assert.ok(findings.length > 0, 'tshark remarks at least on how connections are closed')
    assert.deepEqual(causedByServer(findings), [])
  })

  it('on a host without IPv6 serves over IPv4, and says so in one line', async () => {
    namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1)
    const { stderr, url } = await serve()
    assert.match(stderr, /^sandstorm: serving over IPv4 alone: IPv6 is disabled .*sysctl.*\n$/)
    assert.deepEqual((await curlTree(url, files.slice(0, 5), { namespace })).wrong, [])
    namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 0)
  })

  it('with packets too small for IPv6 serves over IPv4', async () => {
    const { stderr, url } = await serve('--mtu', '1000')
    assert.equal(stderr, '')
    assert.equal(url, `http://${TAP_ADDRESS}:80`)
    assert.deepEqual((await curlTree(url, files.slice(0, 5), { namespace })).wrong, [])
  })
})

/** RFC 4291 appendix A. */
function linkLocalOf(mac: string): string {
  const bytes = mac.split(':').map(digits => Number.parseInt(digits, 16))
  bytes[0] ^= 2
  bytes.splice(3, 0, 0xff, 0xfe)
  const words = [0, 2, 4, 6].map(i => ((bytes[i] << 8) | bytes[i + 1]).toString(16))
  return `fe80::${words.join(':')}`
}
