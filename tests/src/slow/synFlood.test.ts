/**
 * A flood of SYNs from hosts that never answer: the SYN table is full for as long as it lasts, and
 * clients get in all the same, in less than a second, by cookies (RFC 4987 §3.6). Memory stays flat.
 *
 * SYN_FLOOD_SECONDS says how long, 6 unless told otherwise.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { run, start } from '../kit/command.ts'
import { fetchTree } from '../kit/fetchTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server, TAP_ADDRESS } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const SECONDS = Number(process.env['SYN_FLOOD_SECONDS'] ?? 6)
/** Enough to fill the server's table, of which one source gets at most a quarter. */
const SOURCES = [200, 201, 202, 203, 204]
const PER_SECOND = 4000
const MAX_CONNECT_SECONDS = 1
const MAX_GROWTH_KB = 24 * 1024
/** A mebibyte of TCBs and some heap is used for the first time when the flood begins. */
const WARM_UP_MS = 1500
const PAUSE_MS = 50

const wait = (ms: number): Promise<void> => new Promise(done => setTimeout(done, ms))

const rssKb = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

describe('under a SYN flood', {
  ...needs('root', 'tun', 'ip', 'curl', 'hping3'),
  timeout: 300_000,
}, () => {
  let namespace: Namespace
  let tree: Tree
  let server: Server

  before(() => {
    tree = makeTree(20)
  })
  beforeEach(() => {
    namespace = new Namespace()
  })
  afterEach(async () => {
    await server?.kill()
    namespace?.remove()
  })
  after(() => tree?.remove())

  /** SYNs in the name of one host, for as long as the flood lasts. */
  async function flood(host: number): Promise<void> {
    const rate = ['--interval', `u${1_000_000 / PER_SECOND}`]
    const syns = ['--syn', '--destport', '80', '--spoof', `10.77.0.${host}`, ...rate]
    const child = start(['hping3', ...syns, '--quiet', TAP_ADDRESS], { namespace })
    const ended = once(child, 'close')
    await wait(SECONDS * 1000)
    child.kill()
    await ended
  }

  /** What becomes of the clients that come one after the other until `over`. */
  async function connectUntil(over: Promise<unknown>): Promise<number[]> {
    const { path } = tree.files.find(file => file.bytes === 22 * 1024)!
    const curl = ['curl', '--silent', '--output', '/dev/null', '--max-time', '10']
    const write = ['--write-out', '%{http_code} %{size_download} %{time_connect}']
    let isOver = false
    over.finally(() => {
      isOver = true
    })
    const times: number[] = []
    while (!isOver) {
      const { stdout } = await run([...curl, ...write, server.url + path], { namespace })
      const [code, bytes, seconds] = stdout.split(' ').map(Number)
      assert.deepEqual([code, bytes], [200, 22 * 1024], `client ${times.length}: ${stdout}`)
      times.push(seconds)
      await wait(PAUSE_MS)
    }
    return times
  }

  /** Hosts that answer ARP, by way of the kernel, and never anything else. */
  function addSilentHosts(): void {
    namespace.ip('link', 'add', 'sink', 'type', 'veth', 'peer', 'name', 'sunk')
    for (const name of ['sink', 'sunk']) namespace.ip('link', 'set', name, 'up')
    const mac = '02:00:00:00:00:01'
    for (const host of SOURCES) {
      namespace.ip('route', 'add', `10.77.0.${host}`, 'dev', 'sink')
      namespace.ip('neigh', 'add', `10.77.0.${host}`, 'lladdr', mac, 'dev', 'sink')
    }
  }

  async function proxyArp(): Promise<void> {
    const on = ['net.ipv4.ip_forward=1', 'net.ipv4.conf.sand0.proxy_arp=1']
    const quick = 'net.ipv4.neigh.sand0.proxy_delay=0'
    const { code, stderr } = await run(['sysctl', '-q', '-w', ...on, quick], { namespace })
    assert.equal(code, 0, stderr)
  }

  for (const silent of [true, false]) {
    const who = silent ? 'hosts that answer nothing but ARP' : 'hosts that do not exist'
    it(`clients get in within a second, and memory is flat: ${who}, ${SECONDS} s`, async context => {
      server = await Server.serve([tree.dir, '--device', 'tap'], { namespace })
      if (silent) {
        addSilentHosts()
        await proxyArp()
      }
      const over = Promise.all(SOURCES.map(flood))
      await wait(WARM_UP_MS)
      const before = rssKb(server.pid)
      const times = await connectUntil(over)
      const growth = rssKb(server.pid) - before
      const slowest = Math.max(...times)
      assert.ok(times.length >= 2 * (SECONDS - 2), `${times.length} clients`)
      assert.ok(slowest < MAX_CONNECT_SECONDS, `the slowest of ${times.length}: ${slowest} s`)
      assert.ok(growth < MAX_GROWTH_KB, `${growth} kB more`)
      context.diagnostic(`${times.length} clients, the slowest ${slowest} s, ${growth} kB more`)
      assert.deepEqual((await fetchTree(server.url, tree.files, { namespace })).wrong, [])
      await server.stop()
      const { tcp, inUse } = server.stats
      if (silent) assert.ok(tcp['syncookiesSent'] > 1000, `${tcp['syncookiesSent']} cookies`)
      assert.ok(tcp['syncookiesRecv'] > 0, 'clients came in by cookies')
      context.diagnostic(
        `${tcp['syncookiesSent']} cookies sent, ${tcp['syncookiesRecv']} came back`,
      )
      assert.ok(inUse['connections'] <= 4096 + 64, `${inUse['connections']} connections`)
    })
  }
})
