/**
 * The control socket and who asks through it, in one process: servers in memory behind real sockets
 * in a folder of the test's own.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Metrics } from '../src/admin/metrics.ts'
import { conns } from '../src/cli/conns.ts'
import { withControlSocket } from '../src/control/controlSocket.ts'
import { type Asked, reply } from '../src/control/inquiry.ts'
import { Inspector } from '../src/control/inspector.ts'
import type { Line } from '../src/control/protocol.ts'
import { runtimeDir, type Surroundings } from '../src/control/runtimeDir.ts'
import type { Instance } from '../src/instance/instance.ts'
import { request, World } from './kit/world.ts'

const uid = process.getuid?.() ?? 0
let dir = ''
let around: Surroundings
let warnings: string[] = []
let closers: (() => void)[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sand-control-'))
  around = { uid, env: { SANDSTORM_RUNTIME_DIR: dir }, tmpdir: '/nowhere' }
  warnings = []
  closers = []
})
afterEach(() => {
  for (const close of closers) close()
  rmSync(dir, { recursive: true, force: true })
})

interface Running {
  readonly instance: Instance
  /** Ends the instance; its socket goes with it. */
  stop(): Promise<void>
}

/** An instance around a server in memory; without one it is the kernel's. */
async function start(server?: Asked, device = 'tap:sand0'): Promise<Running> {
  let end: () => void = () => {}
  const done = new Promise<{ code: number; message: string }>(resolve => {
    end = () => resolve({ code: 0, message: '' })
  })
  const inspector = server && new Inspector([async inquiry => reply(server, inquiry)])
  const endpoints = [{ url: 'http://10.77.0.2:8080/', device }]
  const metrics = async (): Promise<Metrics> => ({ counters: {} })
  const plain = { endpoints, stop: async () => end(), done, metrics }
  const log = { info: () => {}, warn: (line: string) => warnings.push(line), stats: () => {} }
  const instance = await withControlSocket(inspector ? { ...plain, inspector } : plain, log, around)
  closers.push(end)
  return {
    instance,
    stop: async () => {
      end()
      await instance.done
    },
  }
}

/** A process that has ended: nobody has its id for a while. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'close')
  return child.pid ?? 0
}

async function run(
  which = '',
  flags = {},
): Promise<{ code: number; out: string[]; err: string[] }> {
  const out: string[] = []
  const err: string[] = []
  const output = {
    print: (line: string) => out.push(line),
    complain: (line: string) => err.push(line),
  }
  const code = await conns(which, flags, output, around)
  return { code, out, err }
}

/** Renames a socket, as if another process had made it. */
const rename = (pid: number): void => {
  renameSync(join(dir, `${process.pid}.sock`), join(dir, `${pid}.sock`))
}

function busyWorld(): World {
  const world = new World({ '/a': 100, '/big': 300_000 })
  world.fetch('/a')
  world.connect()
  world.connect({ autoAck: false, sack: true }).send(request('/big'))
  return world.settle()
}

describe('conns', () => {
  test('prints a heading, a table and a summary', async () => {
    await start(busyWorld().server)
    const { code, out, err } = await run()
    assert.equal(code, 0)
    assert.deepEqual(err, [])
    assert.equal(out[0], `# tap:sand0 at http://10.77.0.2:8080/, PID ${process.pid}`)
    assert.match(out[1], /^State +Send-Q +In-Flight +Local Address:Port +Peer Address:Port +Timer$/)
    assert.match(
      out[2],
      /^ESTAB +0 +0 10\.0\.0\.1:80 +10\.0\.0\.2:\d+ +timer:\(app,10sec,0\) +cubic /,
    )
    assert.match(
      out[3],
      /^ESTAB +30\d{4} +1\d{4} .* timer:\(probe,10ms,0\) +sack cubic .* cwnd:10 .*notsent:/,
    )
    assert.equal(out[4], 'TCP:   3 (estab 2, timewait 1)')
    assert.equal(out.length, 5)
  })

  test('prints a table without rows when nobody is connected', async () => {
    await start(new World({ '/a': 1 }).server)
    const { out } = await run()
    assert.equal(out.length, 3)
    assert.equal(out[2], 'TCP:   0 (estab 0, timewait 0)')
  })

  test('prints every connection of thousands once', async () => {
    const world = new World({ '/a': 1 }, { tcp: { maxConnections: 4096 } })
    for (let i = 1; i <= 2500; i++) {
      world.host.peer().open()
      if (i % 500 === 0) world.settle()
    }
    await start(world.server)
    const { out } = await run()
    const peers = new Set(out.filter(line => line.startsWith('ESTAB')).map(l => l.split(/ +/)[4]))
    assert.equal(peers.size, 2500)
    assert.equal(out.at(-1), 'TCP:   2500 (estab 2500, timewait 0)')
  })

  test('prints lines of JSON', async () => {
    await start(busyWorld().server)
    const { out } = await run('', { json: true })
    const lines = out.map(line => JSON.parse(line) as Line)
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['instance', 'connection', 'connection', 'summary'],
    )
    const [, , busy, summary] = lines
    assert.ok(busy.type === 'connection' && summary.type === 'summary')
    assert.equal(busy.pid, process.pid)
    assert.equal(busy.cwndBytes, 14280)
    assert.deepEqual(summary.states, { ESTAB: 2, 'TIME-WAIT': 1 })
  })

  test('prints counters', async () => {
    await start(busyWorld().server)
    const { code, out } = await run('', { stats: true })
    assert.equal(code, 0)
    assert.ok(out.some(line => /^TcpPassiveOpens +3 +passive connection openings$/.test(line)))
    const [, stats] = (await run('', { stats: true, json: true })).out.map(
      line => JSON.parse(line) as Line,
    )
    assert.ok(stats.type === 'stats')
    assert.equal(stats.stats.tcp.passiveOpens, 3)
  })

  test('shows all instances under headings, or one by its process or device', async () => {
    await start(new World({ '/a': 1 }).server, 'tap:sand1')
    rename(1)
    await start(busyWorld().server)
    const both = (await run()).out
    assert.deepEqual(
      both.filter(line => line.startsWith('#')).map(line => line.split(' ')[1]),
      ['tap:sand1', 'tap:sand0'],
    )
    assert.equal(both.filter(line => line === '').length, 1)
    for (const which of [`${process.pid}`, 'sand0', 'tap:sand0']) {
      const { out } = await run(which)
      assert.deepEqual(
        out.filter(line => line.startsWith('#')).map(line => line.split(' ')[1]),
        ['tap:sand0'],
      )
    }
    await assert.rejects(run('sand2'), /conns sand2: no such server is running\./)
    await assert.rejects(run('999999999'), /conns 999999999: no such server is running\./)
  })

  test('says so when there is no server, or not even a folder', async () => {
    await assert.rejects(run(), /conns: no server is running\. .*serve DIR/)
    rmSync(dir, { recursive: true })
    await assert.rejects(run(), /conns: no server is running\./)
    assert.ok(!existsSync(dir), 'and makes none')
  })

  test('removes what a dead process left, and nothing else', async () => {
    const { stop } = await start(new World({ '/a': 1 }).server)
    const dead = await deadPid()
    rename(dead)
    await stop()
    // Node has closed it, which left the renamed file: nobody listens there.
    assert.deepEqual(readdirSync(dir), [`${dead}.sock`])
    writeFileSync(join(dir, 'notes.txt'), '')
    await assert.rejects(run(), /no server is running/)
    assert.deepEqual(readdirSync(dir), ['notes.txt'])
  })

  test('leaves the socket of a process that lives alone, though nobody listens', async () => {
    writeFileSync(join(dir, '1.sock'), '')
    await assert.rejects(run(), /conns: PID 1: connect ECONNREFUSED/)
    assert.deepEqual(readdirSync(dir), ['1.sock'])
    await start(busyWorld().server)
    const { code, err } = await run()
    assert.equal(code, 0)
    assert.equal(err.length, 1)
    assert.match(err[0], /^PID 1: connect ECONNREFUSED/)
    assert.deepEqual((await run('sand0')).err, [], 'who asks for one hears of that one')
  })

  test("says where a kernel's connections are", async () => {
    await start(undefined, 'kernel')
    await assert.rejects(run(), /PID \d+: .*kernel's TCP.*\. Try ss -tnoi 'sport = :8080'/)
    rename(1)
    await start(busyWorld().server)
    const { code, out, err } = await run()
    assert.equal(code, 0)
    assert.match(err.join(), /PID \d+: .*kernel's TCP/)
    assert.equal(out.filter(line => line.startsWith('#')).length, 1)
  })

  test('does not mistake half an answer for a whole one', async () => {
    const server = new World({ '/a': 1 }).server
    const failing: Asked = {
      stack: server.stack,
      stats: () => {
        throw new Error('gone')
      },
    }
    await start(failing)
    const { code, out, err } = await run('', { stats: true })
    assert.equal(code, 2)
    assert.equal(out.length, 1)
    assert.match(err.join(), /PID \d+: /)
  })

  test('refuses a server that speaks another protocol', async () => {
    const path = join(dir, '1.sock')
    const line = { type: 'instance', protocol: 99, pid: 1, device: 'tap:sand0', url: '' }
    const other = createServer(socket => socket.end(`${JSON.stringify(line)}\n`)).listen(path)
    closers.push(() => other.close())
    await once(other, 'listening')
    await assert.rejects(run(), /PID 1: it is another version of sandstorm/)
  })
})

describe('the socket', () => {
  const path = (): string => join(dir, `${process.pid}.sock`)

  /** What the server answers to these bytes. */
  async function say(text: string): Promise<string> {
    const socket = connect(path()).setEncoding('utf8')
    socket.end(text)
    let said = ''
    for await (const chunk of socket) said += chunk as string
    return said
  }

  test('is there while the instance runs, and gone with it', async () => {
    const { stop } = await start(busyWorld().server)
    assert.ok(existsSync(path()))
    const asker = connect(path())
    await once(asker, 'connect')
    const closed = once(asker, 'close')
    await stop()
    assert.ok(!existsSync(path()))
    await closed
    assert.deepEqual(warnings, [])
  })

  test('answers nonsense in words', async () => {
    await start(busyWorld().server)
    for (const text of ['', '\n', 'GET / HTTP/1.1\r\n\r\n', '{"question":"why"}\n', 'null\n']) {
      assert.match(await say(text), /^\{"type":"instance".*\}\n\{"type":"error".*\}\n$/, text)
    }
    assert.match(await say('x'.repeat(100_000)), /no such question/)
    assert.equal((await run()).code, 0)
  })

  test('survives an asker that goes away at once', async () => {
    await start(busyWorld().server)
    for (let i = 0; i < 20; i++) {
      const socket = connect(path())
      await once(socket, 'connect')
      socket.write('{"question":"connections"}\n')
      socket.destroy()
    }
    assert.equal((await run()).code, 0)
  })

  test('takes the place of what an earlier process with this id left', async () => {
    writeFileSync(path(), '')
    await start(busyWorld().server)
    assert.equal((await run()).code, 0)
    assert.deepEqual(warnings, [])
  })

  for (const [what, spoil] of [
    ['cannot be made', () => rmSync(dir, { recursive: true }) ?? writeFileSync(dir, '')],
    ['can be written to by others', () => chmodSync(dir, 0o777)],
    [
      'is a link',
      () => {
        mkdirSync(`${dir}/real`, { mode: 0o700 })
        symlinkSync(`${dir}/real`, `${dir}/link`)
        around = { ...around, env: { SANDSTORM_RUNTIME_DIR: `${dir}/link` } }
      },
    ],
    [
      'has too long a name',
      () => {
        around = { ...around, env: { SANDSTORM_RUNTIME_DIR: join(dir, 'x'.repeat(108)) } }
      },
    ],
    [
      'belongs to somebody else',
      () => {
        around = { ...around, uid: uid + 1 }
      },
    ],
  ] as const)
    test(`is not there, with a warning and no more, when the folder ${what}`, async () => {
      spoil()
      const { instance, stop } = await start(busyWorld().server)
      assert.equal(warnings.length, 1)
      assert.match(
        warnings[0],
        /^no control socket, so sandstorm conns will not find this server: /,
      )
      assert.equal(instance.endpoints[0].device, 'tap:sand0')
      await stop()
      await assert.rejects(run(), /no server is running/)
    })
})

test('the folder is the user’s own', () => {
  const at = (uid: number, env: Record<string, string>): string =>
    runtimeDir({ uid, env, tmpdir: '/tmp' })
  assert.equal(at(0, {}), '/run/sandstorm')
  assert.equal(at(0, { XDG_RUNTIME_DIR: '/run/user/0' }), '/run/sandstorm')
  assert.equal(at(1000, { XDG_RUNTIME_DIR: '/run/user/1000' }), '/run/user/1000/sandstorm')
  assert.equal(at(1000, { XDG_RUNTIME_DIR: 'relative' }), '/tmp/sandstorm-1000')
  assert.equal(at(1000, {}), '/tmp/sandstorm-1000')
  assert.equal(at(1000, { SANDSTORM_RUNTIME_DIR: '/x' }), '/x')
})
