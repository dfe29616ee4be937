/**
 * `sandstorm conns` beside real servers over TAP: what it says of a download under way, of several
 * servers, and of what a killed one leaves. Sockets are in a folder of this file's own, since other
 * tests run servers at the same time.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { type Outcome, run, start } from './kit/command.ts'
import { Namespace } from './kit/namespace.ts'
import { becomeNobody } from './kit/nobody.ts'
import { needs } from './kit/privileges.ts'
import { assertRefused, commandLine, Server, SITE, TAP_ADDRESS } from './kit/server.ts'
import { type TemporaryFolder, temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree } from './kit/tree.ts'

/** So long may a test take before it counts as hanging. */
const timeout = 120_000
const SECOND = ['--device', 'tap:sand1', '--address', '10.77.1.2/24']

/** A connection as `conns --json` prints it, as far as it is looked at here. */
interface ConnectionLine {
  readonly type: string
  readonly pid: number
  readonly state: string
  readonly local: { address: string; port: number }
  readonly peer: { address: string; port: number }
  readonly [name: string]: unknown
}

describe('conns', { ...needs('root', 'tun', 'ip', 'curl'), timeout }, () => {
  let namespace: Namespace
  let tree: Tree
  let folder: TemporaryFolder
  let servers: Server[]

  before(() => {
    tree = makeTree(60)
    namespace = new Namespace()
  })
  beforeEach(() => {
    folder = temporaryFolder('control')
    servers = []
  })
  afterEach(async () => {
    for (const server of servers) await server.kill()
    folder.remove()
  })
  after(() => {
    namespace?.remove()
    tree?.remove()
  })

  const env = (): Record<string, string> => ({ SANDSTORM_RUNTIME_DIR: folder.path })
  const socketOf = ({ pid }: Server): string => join(folder.path, `${pid}.sock`)

  async function serve(...args: string[]): Promise<Server> {
    const server = await Server.serve([tree.dir, ...args], { namespace, env: env() })
    servers.push(server)
    return server
  }

  // Outside of the namespace: a control socket is a file, and needs no network.
  const conns = (...args: string[]): Promise<Outcome> =>
    run(commandLine('conns', ...args), { env: env(), limitMs: 20_000 })

  async function connections(...args: string[]): Promise<ConnectionLine[]> {
    const { code, stdout, stderr } = await conns('--json', ...args)
    assert.equal(code, 0, stderr)
    const lines = stdout
      .trim()
      .split('\n')
      .map(text => JSON.parse(text) as ConnectionLine)
    return lines.filter(({ type }) => type === 'connection')
  }

  it('shows a download under way, with numbers that can be', async () => {
    const server = await serve('--device', 'tap')
    const big = tree.files.reduce((a, b) => (a.bytes > b.bytes ? a : b))
    const url = server.url + big.path
    const slow = ['curl', '--silent', '--limit-rate', '20k', '--output', '/dev/null', url]
    const client = start(slow, { namespace })
    let found: ConnectionLine[] = []
    while (found.length === 0) found = await connections()
    const [c] = found
    assert.equal(found.length, 1)
    assert.equal(c.pid, server.pid)
    assert.equal(c.state, 'ESTAB')
    assert.deepEqual(c.local, { address: TAP_ADDRESS, port: 80 })
    assert.equal(c.peer.address, '10.77.0.1')
    assert.ok(c.peer.port > 1024)
    assert.deepEqual([c['timestamps'], c['sack']], [true, true])
    const mss = c['mssBytes'] as number
    assert.equal(mss, 1448)
    assert.ok((c['cwndBytes'] as number) >= 10 * mss, `cwnd ${c['cwndBytes']}`)
    if (c['recovery'] === 'none') {
      // A tail loss probe goes out beside the window (RFC 8985 §7.3).
      assert.ok((c['inFlightBytes'] as number) <= (c['cwndBytes'] as number) + mss)
    }
    assert.ok((c['rtoUs'] as number) >= 200_000)
    const waits = (c['inFlightBytes'] as number) + (c['notSentBytes'] as number)
    assert.ok(waits > 0 && waits <= big.bytes + 1000, `${waits} of ${big.bytes} bytes`)
    const { stdout } = await conns(`${server.pid}`)
    assert.match(
      stdout,
      new RegExp(`^# tap:sand0 at http://10.77.0.2:80/, PID ${server.pid}$`, 'm'),
    )
    assert.match(stdout, /^ESTAB +\d+ +\d+ 10\.77\.0\.2:80 +10\.77\.0\.1:\d+ .* cwnd:\d+ /m)
    assert.match(stdout, /^TCP: +1 \(estab 1, timewait 0\)$/m)
    const closed = new Promise(resolve => client.once('close', resolve))
    client.kill()
    await closed
    // As it ends the connection is reset, and nothing of it is left.
    while ((await connections()).length > 0);
    await server.stopDrained()
    assert.deepEqual(readdirSync(folder.path), [], 'the socket is gone')
  })

  it('shows several servers, or one by its device', async () => {
    await serve('--device', 'tap')
    await serve(...SECOND)
    const headings = ({ stdout }: Outcome): string[] => stdout.match(/(?<=^# tap:)\w+/gm) ?? []
    assert.deepEqual(headings(await conns()).sort(), ['sand0', 'sand1'])
    assert.deepEqual(headings(await conns('sand1')), ['sand1'])
    assert.deepEqual(headings(await conns('tap:sand0')), ['sand0'])
    for (const server of servers) await server.stop()
    assert.deepEqual(readdirSync(folder.path), [])
  })

  it('removes the socket that kill -9 leaves', async () => {
    const killed = await serve('--device', 'tap')
    await killed.kill()
    assert.ok(existsSync(socketOf(killed)), 'it is left')
    assertRefused(await conns(), /no server is running/)
    assert.ok(!existsSync(socketOf(killed)), 'it is removed')
    const other = await serve('--device', 'tap')
    assert.equal((await conns(`${other.pid}`)).code, 0)
    await other.stop()
  })

  it('prints counters by the names of nstat', async () => {
    const server = await serve('--device', 'tap')
    const fetch = ['curl', '--silent', '--output', '/dev/null', server.url + tree.files[0].path]
    assert.equal((await run(fetch, { namespace })).code, 0)
    const { code, stdout } = await conns('--stats')
    assert.equal(code, 0)
    assert.match(stdout, /^TcpPassiveOpens +1 +passive connection openings$/m)
    assert.match(stdout, /^TcpExtTCPTimeouts +\d+ +other TCP timeouts$/m)
    await server.stop()
  })

  it("sends those who ask for a kernel's connections to ss", async () => {
    const server = await serve('--device', 'kernel')
    assertRefused(await conns(), /the kernel has its connections\. Try ss -tnoi 'sport = :8080'/)
    await server.stop()
  })

  it('answers during a drain, and does not stop it', async () => {
    const server = await serve('--device', 'tap')
    const big = tree.files.reduce((a, b) => (a.bytes > b.bytes ? a : b))
    const url = server.url + big.path
    const slow = ['curl', '--silent', '--limit-rate', '20k', '--output', '/dev/null', url]
    const client = start(slow, { namespace })
    while ((await connections()).length === 0);
    const stopped = server.stop()
    const during = await connections()
    assert.match(during.map(({ state }) => state).join(), /^(ESTAB|FIN-WAIT-1)$/)
    client.kill() // so that the drain need not wait for it
    await stopped
  })

  it('serves all the same where no socket can be made, with one warning', async () => {
    const nowhere = { SANDSTORM_RUNTIME_DIR: '/proc/sandstorm' }
    const server = await Server.serve([tree.dir, '--device', 'tap'], { namespace, env: nowhere })
    servers.push(server)
    assert.match(server.stderr, /^sandstorm: no control socket[^\n]*\/proc\/sandstorm[^\n]*\n$/)
    await server.stop()
  })

  it('uses a folder of their own for those who are not root', async () => {
    const nobody = becomeNobody()
    const tmp = temporaryFolder('tmp')
    await run(['chmod', '1777', tmp.path])
    const own = { TMPDIR: tmp.path, XDG_RUNTIME_DIR: '', SANDSTORM_RUNTIME_DIR: '' }
    const args = [SITE, '--device', 'kernel']
    const server = await Server.serve(args, { namespace, prefix: nobody.prefix, env: own })
    servers.push(server)
    assert.deepEqual(readdirSync(join(tmp.path, 'sandstorm-65534')).length, 1)
    assert.equal(server.stderr, '')
    await server.stop()
    assert.deepEqual(readdirSync(join(tmp.path, 'sandstorm-65534')), [])
    nobody.remove()
  })

  for (const [args, what] of [
    [['--frob'], /--frob: no such flag.*sandstorm conns --help/],
    [['1', '2'], /conns: too many arguments/],
    [['sand7'], /conns sand7: no such server is running/],
    [[], /conns: no server is running/],
  ] as const)
    it(`refuses: conns ${args.join(' ')}`, async () => {
      assertRefused(await conns(...args), what)
    })
})
