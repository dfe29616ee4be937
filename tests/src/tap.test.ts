/**
 * Real clients against our own stack over TAP, in a namespace of this file's own: the answers, the
 * traces they leave, and what is left when the server is gone.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { itAnswersLikeAWebServer } from './kit/answers.ts'
import { run } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { fetchTree } from './kit/fetchTree.ts'
import { request } from './kit/httpClient.ts'
import { Namespace } from './kit/namespace.ts'
import { becomeNobody } from './kit/nobody.ts'
import { needs } from './kit/privileges.ts'
import {
  assertRefused,
  HOST_ADDRESS,
  runCommand,
  Server,
  type ServerOptions,
  SITE,
  TAP_ADDRESS,
} from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, readTree, type Tree } from './kit/tree.ts'
import { causedByServer, countFrames, expertFindings } from './kit/tshark.ts'

const URL = `http://${TAP_ADDRESS}:80`
const TAP = ['--device', 'tap']
/** So long may a test take before it counts as hanging. */
const timeout = 120_000

describe('over TAP', { ...needs('root', 'tun', 'ip'), timeout }, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server

  before(async () => {
    tree = makeTree(60)
    namespace = new Namespace()
    server = await Server.serve([tree.dir, ...TAP], { namespace })
  })
  after(async () => {
    await server?.kill()
    namespace?.remove()
    tree?.remove()
  })

  it('says where it listens and on which device', () => {
    assert.match(server.url, /^http:\/\/10\.77\.0\.2(:80)?$/)
    assert.equal(server.device, 'tap:sand0')
    assert.deepEqual(namespace.interfaces(), ['sand0'])
  })

  for (const close of [false, true]) {
    const mode = close ? 'a connection per request' : 'keep-alive'

    it(`serves a tree to Node's http client, ${mode}`, async () => {
      const { wrong, connections } = await fetchTree(URL, tree.files, { namespace, close })
      assert.deepEqual(wrong, [])
      assertConnections(connections, close, tree.files.length)
    })

    it(`serves a tree to curl, ${mode}`, needs('curl'), async () => {
      const { wrong, connections } = await curlTree(URL, tree.files, { namespace, close })
      assert.deepEqual(wrong, [])
      assertConnections(connections, close, tree.files.length)
    })
  }

  itAnswersLikeAWebServer(
    async (...requests) => (await request(URL, requests, { namespace, maxSockets: 1 })).answers,
    () => tree.files.find(file => file.bytes === 22 * 1024)!,
  )

  it('serves over many requests on one connection', async () => {
    const files = tree.files.slice(0, 40)
    const one = await fetchTree(URL, files, { namespace, maxSockets: 1 })
    assert.deepEqual(one, { wrong: [], connections: 1 })
  })

  it('is not helped by the kernel: nothing of it listens', async () => {
    const { stdout } = await run(['cat', '/proc/net/tcp', '/proc/net/tcp6'], { namespace })
    const LISTEN = '0A'
    const sockets = stdout.split('\n').map(line => line.trim().split(/\s+/))
    assert.deepEqual(
      sockets.filter(fields => fields[3] === LISTEN),
      [],
    )
  })

  it('answers ping', needs('ping'), async () => {
    for (const size of ['0', '56', '1472']) {
      const ping = ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '5', '-s', size, TAP_ADDRESS]
      const { code, stdout } = await run(ping, { namespace })
      assert.equal(code, 0, stdout)
      assert.match(stdout, /3 packets transmitted, 3 received, 0% packet loss/)
    }
  })

  it('refuses a second start on the same interface and goes on', async () => {
    assertRefused(await runCommand(['serve', tree.dir, ...TAP], namespace), /sand0|10\.77\.0\./)
    assert.deepEqual(namespace.interfaces(), ['sand0'])
    assert.deepEqual((await fetchTree(URL, tree.files.slice(0, 5), { namespace })).wrong, [])
  })

  it('refuses a second start with the same address on another interface and goes on', async () => {
    const second = await runCommand(['serve', tree.dir, '--device', 'tap:sand1'], namespace)
    assertRefused(second, /10\.77\.0\.[12]/)
    assert.deepEqual(namespace.interfaces(), ['sand0'])
    assert.deepEqual((await fetchTree(URL, tree.files.slice(0, 5), { namespace })).wrong, [])
  })

  it('holds nothing when its clients are gone', async () => {
    await server.stopDrained()
  })
})

describe('start and stop over TAP', { ...needs('root', 'tun', 'ip'), timeout }, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server | undefined

  const serve = async (args: string[] = [], options: ServerOptions = {}): Promise<Server> => {
    server = await Server.serve([tree.dir, ...TAP, ...args], { namespace, ...options })
    return server
  }

  before(() => {
    tree = makeTree(20)
    namespace = new Namespace()
  })
  afterEach(() => server?.kill())
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`leaves no interface, process or file after ${signal}`, async () => {
      const { path: dir } = temporaryFolder('empty')
      const { pid, stop } = await serve([], { env: { TMPDIR: dir, HOME: dir } }).then(started => ({
        pid: started.pid,
        stop: () => started.stop(signal),
      }))
      assert.deepEqual((await fetchTree(URL, tree.files, { namespace })).wrong, [])
      await stop()
      assert.deepEqual(namespace.interfaces(), [])
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
      assert.deepEqual(namespace.pids(), [])
      assert.deepEqual(readdirSync(dir), [])
    })
  }

  it('stops cleanly while clients wait for answers', async () => {
    const started = await serve()
    const big = tree.files.filter(file => file.bytes > 1e6)
    // What the clients make of it is their affair, and they need not wait for it long.
    const fetched = fetchTree(URL, big, { namespace, limitMs: 20_000 }).catch(() => {})
    await started.stop()
    assert.deepEqual(namespace.interfaces(), [])
    await fetched
  })

  it('leaves no interface after kill -9, and the next start works', async () => {
    const killed = await serve()
    await killed.kill()
    assert.deepEqual(namespace.interfaces(), [])
    await serve()
    assert.deepEqual((await fetchTree(URL, tree.files, { namespace })).wrong, [])
  })

  for (const address of [TAP_ADDRESS, HOST_ADDRESS]) {
    it(`refuses to start when ${address} is taken`, async () => {
      namespace.ip('addr', 'add', `${address}/32`, 'dev', 'lo')
      const outcome = await runCommand(['serve', tree.dir, ...TAP], namespace)
      namespace.ip('addr', 'del', `${address}/32`, 'dev', 'lo')
      assertRefused(outcome, new RegExp(address.replaceAll('.', '\\.')))
      assert.deepEqual(namespace.interfaces(), [])
    })
  }

  it('refuses to start when the capture cannot be written, and leaves no interface', async () => {
    const flags = ['--pcap', '/proc/sandstorm.pcapng']
    const outcome = await runCommand(['serve', tree.dir, ...TAP, ...flags], namespace)
    assertRefused(outcome, /sandstorm\.pcapng/)
    assert.deepEqual(namespace.interfaces(), [])
  })

  it('falls back to the kernel without privileges, and says so in one line', async () => {
    const nobody = becomeNobody()
    const options = { namespace, ...nobody }
    server = await Server.serve([SITE], options)
    assert.equal(server.url, 'http://127.0.0.1:8080')
    assert.equal(server.device, 'kernel')
    assert.match(server.stderr, /^[^\n]*\b(TAP|tap)\b[^\n]*\n$/)
    assert.deepEqual((await fetchTree(server.url, readTree(SITE), { namespace })).wrong, [])
    await server.stop()
    nobody.remove()
  })

  it('says in one line more which flags then have no effect', async () => {
    const nobody = becomeNobody()
    const flags = ['--trace', '--pacing', '--mtu', '1280']
    server = await Server.serve([SITE, ...flags], { namespace, ...nobody })
    const [why, what, ...more] = server.stderr.trimEnd().split('\n')
    assert.match(why, /\bTAP\b/)
    assert.match(what, /no effect on the kernel's stack: --mtu, --pacing, --trace$/)
    assert.deepEqual(more, [])
    await server.stop()
    nobody.remove()
  })

  it('serves a tree with pacing, over a path long enough for it', async () => {
    const paced = await serve(['--pacing', '--fault', 'delay=5ms'])
    const small = tree.files.filter(file => file.bytes <= 1e6)
    assert.deepEqual((await fetchTree(URL, small, { namespace })).wrong, [])
    await paced.stopDrained()
    const { pacingDelays } = paced.stats.tcp
    assert.ok(pacingDelays > 0, `${pacingDelays} bursts were held back`)
  })

  it('serves the example site', async () => {
    server = await Server.serve([SITE, ...TAP], { namespace })
    const files = readTree(SITE)
    assert.ok(files.filter(file => file.path.endsWith('.png')).length >= 40, 'the gallery is there')
    assert.deepEqual((await fetchTree(URL, files, { namespace })).wrong, [])
    const [index] = (await request(URL, [{ path: '/' }], { namespace })).answers
    assert.equal(index.sha256, files.find(file => file.path === '/index.html')?.sha256)
    await server.stopDrained()
  })
})

describe('looking inside over TAP', { ...needs('root', 'tun', 'ip', 'curl'), timeout }, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server | undefined

  before(() => {
    tree = makeTree(60)
    namespace = new Namespace()
  })
  afterEach(() => server?.kill())
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  it('writes a capture in which tshark finds nothing wrong', needs('tshark'), async () => {
    const pcap = join(temporaryFolder('pcap').path, 'run.pcapng')
    // With SACK a client that is kept from its work is sent tail loss probes (RFC 8985 §7), which
    // look like retransmissions, and are.
    namespace.sysctl('net.ipv4.tcp_sack', 0)
    server = await Server.serve([tree.dir, ...TAP, '--pcap', pcap], { namespace })
    for (const close of [false, true]) {
      assert.deepEqual((await curlTree(URL, tree.files, { namespace, close })).wrong, [])
    }
    await server.stop()
    namespace.sysctl('net.ipv4.tcp_sack', 1)
    const opened = await countFrames(pcap, `tcp.flags.syn == 1 && ip.src == ${TAP_ADDRESS}`)
    assert.ok(opened > tree.files.length, `${opened} connections in the capture`)
    const findings = await expertFindings(pcap, TAP_ADDRESS)
    assert.ok(findings.length > 0, 'tshark remarks at least on how connections are closed')
    assert.deepEqual(causedByServer(findings), [])
  })

  it('says when a capture ends before it does', async () => {
    server = await Server.serve([tree.dir, ...TAP, '--pcap', '/dev/full'], { namespace })
    assert.deepEqual((await curlTree(URL, tree.files.slice(0, 3), { namespace })).wrong, [])
    await server.stop()
    assert.match(server.stderr, /^sandstorm: the capture \/dev\/full ends here: ENOSPC[^\n]*$/m)
  })

  it('prints a line per frame that reads like tcpdump', async () => {
    server = await Server.serve([tree.dir, ...TAP, '--trace'], { namespace })
    const [file] = tree.files.filter(({ bytes }) => bytes === 1429)
    assert.deepEqual((await curlTree(URL, [file], { namespace })).wrong, [])
    await server.stop()
    const lines = server.stdout + server.stderr
    const time = String.raw`^\d\d:\d\d:\d\d\.\d{6} ([<>] )?IP `
    const client = String.raw`10\.77\.0\.1\.\d+`
    const ours = String.raw`10\.77\.0\.2\.(80|http)`
    const frame = (from: string, to: string, rest: string): RegExp =>
      new RegExp(`${time}${from} > ${to}: Flags ${rest}`, 'm')
    assert.match(lines, frame(client, ours, String.raw`\[S\], seq \d+, .*length 0$`))
    assert.match(lines, frame(ours, client, String.raw`\[S\.\], seq \d+, ack \d+, .*length 0$`))
    assert.match(lines, frame(client, ours, String.raw`\[P\.\], .*length [1-9]\d*`))
    assert.match(lines, frame(ours, client, String.raw`\[P?\.\], .*length [1-9]\d*`))
    // What Linux offers is agreed to, and stays so (RFC 7323 §3.2).
    const agreed = String.raw`\[mss 1460,sackOK,TS val \d+ ecr [1-9]\d*,nop,wscale 0\]`
    assert.match(lines, frame(ours, client, String.raw`\[S\.\], .*, options ${agreed}`))
    const stamped = String.raw`options \[nop,nop,TS val \d+ ecr [1-9]\d*\]`
    assert.match(lines, frame(ours, client, String.raw`\[P?\.\], .*, ${stamped}, length [1-9]\d*`))
    assert.match(lines, frame(client, ours, String.raw`\[F\.\]`))
  })
})

/** With `Connection: close` one connection a file; kept alive no more than the client may open. */
function assertConnections(connections: number, close: boolean, files: number): void {
  if (close) assert.equal(connections, files)
  else assert.ok(connections <= 64, `${connections} connections`)
}
