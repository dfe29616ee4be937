/**
 * `sandstorm load -t` on our own stack: every thread does its share, by flows that come back to it
 * or are handed to it, whatever the device; and frames that the host had no room for are told of.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { run, start } from './kit/command.ts'
import {
  assertGood,
  errorsOf,
  load,
  loadJson,
  type Report,
  startLoad,
  startNginx,
} from './kit/loadRuns.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, HOST_ADDRESS, Server, SITE, TAP_ADDRESS } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'

const timeout = 120_000
const BYTES = 22 * 1024

describe('load with several threads on our own stack', {
  ...needs('root', 'tun', 'ip', 'nginx'),
  timeout,
}, () => {
  const url = `http://${HOST_ADDRESS}:8080/object`
  const onFar = 'http://10.5.0.1:8080/object'
  let namespace: Namespace
  let far: Namespace

  before(async () => {
    namespace = new Namespace()
    far = new Namespace()
    namespace.connect('near', '10.5.0.1/24', far, 'far', '10.5.0.2/24', 2)
    await startNginx(namespace, BYTES)
  })
  after(() => {
    namespace?.remove()
    far?.remove()
  })

  /** Had one of the threads done nothing, a part of these would be missing. */
  function assertShared(report: Report, requests: number, connections: number): void {
    const { connectionsOpened, bodyBytes } = report
    assert.deepEqual(
      [report.requests, connectionsOpened, bodyBytes],
      [requests, connections, BYTES],
    )
  }

  for (const threads of [2, 3]) {
    for (const keepAlive of [true, false]) {
      it(`over TAP with ${threads}, ${keepAlive ? 'with' : 'without'} keep-alive`, async () => {
        const how = [...(keepAlive ? ['-k'] : []), '-t', `${threads}`, '--device', 'tap']
        const answer = await loadJson([url, '-n', '601', '-c', '20', ...how], namespace)
        const report = assertGood(answer)
        assertShared(report, 601, keepAlive ? 20 : 601)
        assert.deepEqual([report.threads, report.device], [threads, 'tap:sand0'])
      })
    }
  }

  it('from several addresses in turn, which the threads share', async () => {
    const peers = await countPeers(namespace, async port => {
      const from = ['--device', 'tap', '--source', '10.77.0.10-10.77.0.12']
      const args = [`http://${HOST_ADDRESS}:${port}/`, '-k', '-t', '2', '-c', '6', '-n', '60']
      assertGood(await loadJson([...args, ...from], namespace))
    })
    assert.deepEqual(peers, { '10.77.0.10': 2, '10.77.0.11': 2, '10.77.0.12': 2 })
  })

  for (const device of ['packet:far', 'xdp:far']) {
    it(`on ${device}, without keep-alive`, async () => {
      // To AF_XDP frames come by any of the two queues, and those of the first hop, too.
      const args = ['-t', '2', '-n', '400', '-c', '16', '--device', device]
      const own = ['--address', '10.5.0.9/24']
      assertShared(assertGood(await loadJson([onFar, ...args, ...own], far)), 400, 400)
    })
  }

  it('against our own server at a memif socket', async () => {
    const device = ['--device', `memif:${join(temporaryFolder('memif').path, 'memif.sock')}`]
    const at = ['--address', `${TAP_ADDRESS}/24`, '--workers', '2', '--memif-role', 'server']
    const server = await Server.serve([SITE, ...device, ...at])
    const own = ['-k', '-t', '2', ...device, '--address', '10.77.0.3/24']
    const report = assertGood(await loadJson([`${server.url}/`, '-n', '300', ...own]))
    assert.deepEqual([report.requests, report.connectionsOpened], [300, 64])
    assert.ok(!('framesLost' in report), 'a peer does not say what it has lost')
    await server.stopDrained()
  })

  it('until Ctrl-C, which ends them all', async () => {
    const args = [url, '-k', '-t', '2', '-c', '4', '-d', '60', '--json', '--device', 'tap']
    const { child, ended } = startLoad(args, namespace)
    await atWork(namespace)
    // One thread may be at work before the other has begun.
    while ((await connectionsTo(8080, namespace)) < 4) await sleep(20)
    child.kill('SIGINT')
    const { code, stdout } = await ended
    const report = JSON.parse(stdout) as Report
    assert.deepEqual([errorsOf(report), report.connectionsOpened, code], [{}, 4, 0])
    assert.ok(report.requests > 0 && report.seconds < 50)
    assert.ok(!namespace.interfaces().includes('sand0'))
  })

  it('says who does not answer on the link', async () => {
    const args = ['-k', '-t', '2', '-c', '4', '-d', '60', '--timeout', '0.3', '--device', 'tap']
    const { report, code } = await loadJson(['http://10.77.0.9/', ...args], namespace)
    assert.deepEqual([errorsOf(report), code], [{ connect: 2, timeout: 2 }, 1])
    assert.match(report.problem, /^nobody answers on the link for 10\.77\.0\.9/)
  })

  for (const threads of [1, 2]) {
    it(`says that somebody else on the link has its address, with -t ${threads}`, async () => {
      const args = ['-t', `${threads}`, '-c', '2', '-n', '2', '--timeout', '0.5']
      const own = ['--device', 'packet:far', '--address', '10.5.0.1/24']
      const { report, code } = await loadJson(['http://10.5.0.7/', ...args, ...own], far)
      assert.equal(code, 1)
      assert.match(
        report.problem,
        /^another host on the link has, or wants, our address 10\.5\.0\.1$/,
      )
    })
  }

  it('refuses as many as memif has no memory for', async () => {
    const device = ['--device', `memif:${join(temporaryFolder('memif').path, 'memif.sock')}`]
    const args = [url, '-t', '12', ...device, '--address', '10.77.0.3/24']
    assertRefused(await load(args), /-t 12: too many for the memory .* [67] at most/)
  })

  it('refuses as many as an interface has no queues for', async () => {
    const args = [onFar, '-t', '3', '--device', 'xdp:far', '--address', '10.5.0.9/24']
    assertRefused(await load(args, far), /xdp:far has 2 receive queues for 3 workers/)
  })

  it('tells of frames that the host had no room for, and of none if it had', async () => {
    namespace.ip('tuntap', 'add', 'dev', 'sand0', 'mode', 'tap', 'multi_queue')
    const device = ['--device', 'tap', '-t', '2']
    const many = [url, '-k', '-c', '200', '-d', '2', ...device]
    const { ended } = startLoad([...many, '--json'], namespace)
    await atWork(namespace)
    namespace.ip('link', 'set', 'sand0', 'txqueuelen', '4')
    const { framesLost = 0 } = JSON.parse((await ended).stdout) as Report
    const { dropped } = sentTo('sand0', namespace)
    assert.ok(framesLost > 0 && framesLost <= dropped, `${framesLost} of ${dropped}`)
    // It has room again, and what was lost before is not counted.
    const few = [url, '-k', '-c', '2', '-n', '100', ...device]
    assert.equal(assertGood(await loadJson(few, namespace)).framesLost, 0)
    namespace.ip('link', 'delete', 'sand0')
  })
})

/** What the kernel says that it has sent to an interface, and dropped instead; packets. */
function sentTo(name: string, namespace: Namespace): { packets: number; dropped: number } {
  const [{ stats64 }] = JSON.parse(namespace.ip('-s', '-json', 'link', 'show', name)) as [
    { stats64: { tx: { packets: number; dropped: number } } },
  ]
  return stats64.tx
}

/** Settles when answers come over the TAP of a run. */
async function atWork(namespace: Namespace): Promise<void> {
  const isThere = (): boolean => namespace.interfaces().includes('sand0')
  while (!isThere() || sentTo('sand0', namespace).packets < 500) {
    await sleep(20)
  }
}

/** How many connections the kernel has at a port of the namespace. */
async function connectionsTo(port: number, namespace: Namespace): Promise<number> {
  const argv = ['ss', '-Htn', 'state', 'established', `sport = :${port}`]
  return (await run(argv, { namespace })).stdout.split('\n').filter(Boolean).length
}

/** How many connections came from which address while `use` ran, to a server in the namespace. */
async function countPeers(
  namespace: Namespace,
  use: (port: number) => Promise<void>,
): Promise<Record<string, number>> {
  const peers: Record<string, number> = {}
  const child = start([process.execPath, '-e', PEERS], { namespace })
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const [port] = (await once(lines, 'line')) as [string]
  lines.on('line', address => {
    peers[address] = (peers[address] ?? 0) + 1
  })
  await use(Number(port))
  child.kill()
  await once(child, 'close')
  return peers
}

/** Prints its port, and then where each connection comes from. */
const PEERS = `
  const server = require('node:http').createServer((_, response) => response.end('hello'))
  server.on('connection', socket => console.log(socket.remoteAddress))
  server.listen(0, '0.0.0.0', () => console.log(server.address().port))`
