/**
 * `sandstorm load` as a stranger runs it: against our own server, Node's and nginx, on the kernel's
 * stack and on ours, and against servers that do everything wrong.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { run } from './kit/command.ts'
import { freePort } from './kit/freePort.ts'
import {
  assertGood,
  errorsOf,
  load,
  loadJson,
  type Report,
  Responder,
  startLoad,
  startNginx,
} from './kit/loadRuns.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import {
  assertRefused,
  commandLine,
  HOST_ADDRESS,
  Server,
  SITE,
  TAP_ADDRESS,
} from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'

const timeout = 120_000
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const CLOSING = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'

describe('load on the kernel’s stack', { timeout }, () => {
  let server: Server
  let url: string

  before(async () => {
    const port = await freePort()
    server = await Server.serve([SITE, '--device', 'kernel', '--port', `${port}`])
    url = `${server.url}/`
  })
  after(() => server?.kill())

  it('asks our own server, with keep-alive', async () => {
    const report = assertGood(await loadJson([url, '-k', '-c', '8', '-n', '1000']))
    assert.equal(report.requests, 1000)
    assert.equal(report.connectionsOpened, 8)
    assert.deepEqual(report.status, { 200: 1000 })
    assert.equal(report.checked, Math.ceil(1000 / 64))
    assert.equal(report.device, 'kernel')
  })

  it('asks our own server, a connection for each request', async () => {
    const report = assertGood(await loadJson([url, '-c', '8', '-n', '300']))
    assert.equal(report.requests, 300)
    assert.equal(report.connectionsOpened, 300)
  })

  it('shares the work between threads', async () => {
    const report = assertGood(await loadJson([url, '-k', '-t', '2', '-c', '5', '-n', '501']))
    assert.equal(report.requests, 501)
    assert.equal(report.connectionsOpened, 5)
  })

  it('tells all of the contract in JSON', async () => {
    const report = assertGood(await loadJson([url, '-k', '-c', '2', '-d', '0.5']))
    const shape = ['mean', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max']
    for (const times of [report.latencyUs, report.connectUs, report.firstByteUs]) {
      assert.deepEqual(Object.keys(times), shape)
      const [mean, ...quantiles] = Object.values(times)
      assert.ok(mean > 0 && mean <= times['max'])
      assert.deepEqual(
        quantiles,
        [...quantiles].sort((a, b) => a - b),
      )
    }
    assert.ok(report.seconds >= 0.5)
    assert.ok(report.cpu.user + report.cpu.system > 0 && report.cpu.share > 0)
    const kinds = ['connect', 'timeout', 'reset', 'status', 'length', 'checksum', 'protocol']
    assert.deepEqual(Object.keys(report.errorsByKind), kinds)
  })

  it('tells people the same, and what is wrong in the last line', async () => {
    const good = await load([url, '-k', '-n', '100'])
    assert.match(good.stdout, /requests\/s .*\(100 in .*status +200: 100\n.*\nno errors\n$/s)
    assert.equal(good.stderr, '')
    const bad = await load([`${url}nothing-here`, '-k', '-n', '100'])
    assert.match(bad.stdout, /status +404: 100\n.*\n100 errors: 100 status\n$/s)
    assert.equal(bad.code, 1)
  })

  it('asks Node’s server, with chunks and without keep-alive', async () => {
    const node = createServer((_, response) => {
      response.write('hello, ')
      response.end('world')
    })
    await new Promise<void>(resolve => node.listen(0, '127.0.0.1', resolve))
    const { port } = node.address() as AddressInfo
    try {
      for (const flags of [[], ['-k']]) {
        const answer = await loadJson([`127.0.0.1:${port}`, '-c', '4', '-n', '200', ...flags])
        const report = assertGood(answer)
        assert.deepEqual([report.requests, report.bodyBytes], [200, 12])
      }
    } finally {
      node.close()
    }
  })

  it('says who is not there', async () => {
    const refusing = `http://127.0.0.1:${await freePort()}/`
    const { stdout, code } = await load([refusing, '-k', '-c', '3'])
    assert.match(stdout, /\n3 errors: 3 connect; last: ECONNREFUSED\n$/)
    assert.equal(code, 1)
  })

  it('names ulimit -n where that allows fewer connections', async () => {
    const limited = [
      'sh',
      '-c',
      'ulimit -n 200; exec "$@"',
      'sh',
      ...commandLine('load', url, '-k'),
    ]
    const most = 200 - 32 - 8
    const refused = await run([...limited, '-c', `${most + 1}`, '-n', '1000'])
    assertRefused(
      refused,
      /^sandstorm: -c 161: on the kernel’s stack ulimit -n, 200 here, is in the/,
    )
    const { code, stdout } = await run([...limited, '-c', `${most}`, '-n', '1000'])
    assert.match(stdout, /\nno errors\n$/)
    assert.equal(code, 0)
  })

  for (const [args, line] of [
    [[], /^sandstorm: load: URL is missing/],
    [['http://127.0.0.1/', '-c', 'many'], /^sandstorm: -c many: not a whole number\. /],
    [['http://127.0.0.1/', '--rat', '5'], /^sandstorm: --rat: no such flag\. Did you mean --rate/],
    [['http://no-such-host.invalid/'], /^sandstorm: URL no-such-host\.invalid: no such host\. /],
    [
      ['http://127.0.0.1/', '--source', '192.0.2.7'],
      /^sandstorm: --source 192\.0\.2\.7: this machine/,
    ],
    [
      ['http://192.0.2.1/', '--device', 'tap'],
      /^sandstorm: --gateway: 192\.0\.2\.1 is on no subnet/,
    ],
    [['http://[::1]/', '--device', 'tap'], /^sandstorm: --gateway6: ::1 is on no subnet of ours/],
    [
      ['http://[::1]/', '--source', '127.0.0.2'],
      /^sandstorm: URL ::1: our addresses here are IPv4/,
    ],
  ] as const) {
    it(`refuses ${args.join(' ') || 'nothing'}`, async () => assertRefused(await load(args), line))
  }
})

describe('load, of a server that', { timeout }, () => {
  let responder: Responder | undefined

  afterEach(async () => {
    await responder?.close()
    responder = undefined
  })

  /** Of ten answers the last is a bad one. */
  async function tenAnswers(
    bad: (socket: Socket) => void,
    ...flags: string[]
  ): Promise<{ report: Report; code: number }> {
    responder = await Responder.listen((socket, n) => (n === 9 ? bad(socket) : socket.write(OK)))
    const args = [responder.url, '-k', '-c', '1', '-n', '10', '--timeout', '0.4', ...flags]
    return loadJson(args)
  }

  const MANNERS: readonly (readonly [string, (socket: Socket) => void, string, number])[] = [
    ['says 500', s => s.write('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'), 'status', 10],
    ['sends less than it says', s => s.end(OK.slice(0, -2)), 'length', 9],
    ['sends another length', s => s.write(OK.replace('5', '4').slice(0, -1)), 'length', 10],
    ['resets', s => s.resetAndDestroy(), 'reset', 9],
    ['closes', s => s.end(), 'reset', 9],
    ['stalls', () => {}, 'timeout', 9],
    ['stalls in the middle', s => s.write(OK.slice(0, -2)), 'timeout', 9],
    ['speaks no HTTP', s => s.write('hello\r\n'), 'protocol', 9],
  ]
  for (const [name, bad, kind, requests] of MANNERS) {
    it(`${name} tells so`, async () => {
      const { report, code } = await tenAnswers(bad)
      assert.deepEqual(errorsOf(report), { [kind]: 1 })
      assert.equal(report.requests, requests)
      assert.equal(code, 1)
    })
  }

  it('sends another body tells so, for one that is looked at', async () => {
    responder = await Responder.listen((socket, n) =>
      socket.write(n === 64 ? OK.replace('hello', 'hallo') : OK),
    )
    const { report, code } = await loadJson([responder.url, '-k', '-c', '1', '-n', '100'])
    assert.deepEqual(errorsOf(report), { checksum: 1 })
    assert.equal(code, 1)
  })

  it('closes whenever it has answered tells of no error', async () => {
    responder = await Responder.listen(socket => socket.end(CLOSING))
    const report = assertGood(await loadJson([responder.url, '-k', '-c', '2', '-n', '20']))
    assert.deepEqual([report.requests, report.connectionsOpened >= 20], [20, true])
  })

  it('stalls once is seen in an open loop by all who waited', async () => {
    // 500 requests a second; a fifth of a second is a hundred.
    let stalledUntil = 0
    responder = await Responder.listen((socket, n) => {
      if (n === 200) stalledUntil = performance.now() + 200
      const waitMs = stalledUntil - performance.now()
      if (waitMs > 0) setTimeout(() => socket.write(OK), waitMs)
      else socket.write(OK)
    })
    const args = [responder.url, '-k', '-c', '4', '-n', '500', '--rate', '500']
    const { requests, latencyUs, seconds } = assertGood(await loadJson(args))
    assert.equal(requests, 500)
    assert.ok(seconds >= 0.99, `${seconds} s`)
    assert.ok(latencyUs['p99.9'] >= 180_000, `p99.9 is ${latencyUs['p99.9']}`)
    // In a closed loop four of 500 would have waited; here one in ten for half of the stall.
    assert.ok(latencyUs['p90'] >= 80_000, `p90 is ${latencyUs['p90']}`)
  })

  it('is asked until Ctrl-C tells what was done', async () => {
    responder = await Responder.listen(socket => socket.write(OK))
    const { child, ended } = startLoad([responder.url, '-k', '-c', '2', '-d', '60', '--json'])
    await responder.came(50)
    child.kill('SIGINT')
    const { code, stdout } = await ended
    const report = JSON.parse(stdout) as Report
    assert.ok(report.requests >= 48 && report.requests <= responder.requests)
    assert.ok(report.seconds < 50)
    assert.equal(code, 0)
  })

  it('is asked from several addresses in turn', async () => {
    responder = await Responder.listen(socket => socket.write(OK))
    const from = ['--source', '127.0.0.2-127.0.0.4']
    const { url, peers } = responder
    assertGood(await loadJson([url, '-k', '-t', '2', '-c', '6', '-n', '60', ...from]))
    const by = (address: string): number => peers.filter(peer => peer === address).length
    assert.deepEqual(['127.0.0.2', '127.0.0.3', '127.0.0.4'].map(by), [2, 2, 2])
  })
})

describe('load on our own stack', { ...needs('root', 'tun', 'ip', 'nginx'), timeout }, () => {
  const url = `http://${HOST_ADDRESS}:8080/object`
  const bytes = 22 * 1024
  let namespace: Namespace

  before(async () => {
    namespace = new Namespace()
    await startNginx(namespace, bytes)
  })
  after(() => namespace?.remove())

  for (const keepAlive of [true, false]) {
    it(`over TAP asks nginx, ${keepAlive ? 'with' : 'without'} keep-alive`, async () => {
      const flags = keepAlive ? ['-k'] : []
      const args = [url, '-n', '600', '-c', '20', '--device', 'tap', ...flags]
      const report = assertGood(await loadJson(args, namespace))
      assert.deepEqual([report.requests, report.bodyBytes], [600, bytes])
      assert.equal(report.connectionsOpened, keepAlive ? 20 : 600)
      assert.equal(report.device, 'tap:sand0')
      assert.deepEqual(namespace.interfaces(), [])
    })
  }

  for (const threads of [1, 2]) {
    it(`over TAP asks nginx at its IPv6 address, with -t ${threads}`, async () => {
      const how = ['-t', `${threads}`, '-n', '200', '-c', '10', '--device', 'tap']
      const at = 'http://[fd77::1]:8080/object'
      const report = assertGood(await loadJson([at, ...how], namespace))
      assert.deepEqual(
        [report.requests, report.connectionsOpened, report.bodyBytes],
        [200, 200, bytes],
      )
    })
  }

  it('hears that nobody has an IPv6 address', async () => {
    const args = ['-c', '3', '-d', '60', '--timeout', '0.3', '--device', 'tap']
    const { report, code } = await loadJson(['http://[fd77::9]/', ...args], namespace)
    assert.deepEqual([errorsOf(report), code], [{ timeout: 3 }, 1])
    assert.match(report.problem, /^nobody answers on the link for fd77::9/)
  })

  it('says that a host has no IPv6', async () => {
    const other = new Namespace()
    other.sysctl('net.ipv6.conf.default.disable_ipv6', 1)
    const refused = await load(['http://[fd77::1]/', '--device', 'tap'], other)
    assertRefused(refused, /URL fd77::1: IPv6 is disabled on this host/)
    other.remove()
  })

  it('has several addresses, and keeps to its times', async () => {
    const own = ['--device', 'tap:load0', '--source', '10.77.0.10-10.77.0.13']
    const args = [url, '-k', '-n', '500', '-c', '300', '--rate', '500', ...own]
    const report = assertGood(await loadJson(args, namespace))
    assert.equal(report.requests, 500)
    assert.ok(report.connectionsOpened <= 300 && report.seconds >= 0.99)
  })

  it('hears of a refusal', async () => {
    const args = [`http://${HOST_ADDRESS}:8081/`, '-c', '3', '--device', 'tap']
    const { report, code } = await loadJson(args, namespace)
    assert.deepEqual([errorsOf(report), code], [{ connect: 3 }, 1])
    assert.equal(report.problem, 'reset')
  })

  it('gives up on who does not answer, on both stacks', async () => {
    // What is sent there is nobody's, and nobody says so.
    const far = new Namespace()
    namespace.connect('void', '10.66.0.1/24', far, 'void', '10.66.0.3/24')
    namespace.ip('neigh', 'add', '10.66.0.2', 'lladdr', '02:00:00:00:00:01', 'dev', 'void')
    const flags = ['-k', '-c', '2', '-d', '60', '--timeout', '0.3']
    const kernel = await loadJson(['http://10.66.0.2/', ...flags], namespace)
    const own = await loadJson(['http://10.77.0.9/', ...flags, '--device', 'tap'], namespace)
    for (const { report, code } of [kernel, own]) {
      assert.deepEqual([errorsOf(report), report.requests, code], [{ timeout: 2 }, 0, 1])
    }
    far.remove()
  })

  it('asks our own server at a memif socket', async () => {
    const device = ['--device', `memif:${join(temporaryFolder('memif').path, 'memif.sock')}`]
    const address = ['--address', `${TAP_ADDRESS}/24`]
    const server = await Server.serve([SITE, ...device, ...address, '--memif-role', 'server'])
    const own = [...device, '--address', '10.77.0.3/24']
    const report = assertGood(await loadJson([`${server.url}/`, '-k', '-n', '300', ...own]))
    assert.equal(report.requests, 300)
    await server.stopDrained()
  })

  it('asks from an address of its own on an interface', async () => {
    const far = new Namespace()
    namespace.connect('near', '10.5.0.1/24', far, 'far', '10.5.0.2/24')
    const at = 'http://10.5.0.1:8080/object'
    const args = [at, '-k', '-n', '300', '-c', '4', '--device', 'packet:far']
    const report = assertGood(await loadJson([...args, '--address', '10.5.0.9/24'], far))
    assert.deepEqual([report.requests, report.bodyBytes], [300, bytes])
    // Whether that is ours alone is found out first, which takes a second.
    namespace.ip('address', 'add', 'fd05::1/64', 'dev', 'near', 'nodad')
    const six = ['http://[fd05::1]:8080/object', ...args.slice(1), '--address6', 'fd05::9/64']
    assert.equal(assertGood(await loadJson(six, far)).requests, 300)
    const shared = await load([...args, '--address', '10.5.0.2/24'], far)
    assertRefused(shared, /--address: the interface has that address/)
    far.remove()
  })
})
