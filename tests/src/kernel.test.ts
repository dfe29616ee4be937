/**
 * What needs no privileges: the same HTTP machine on the kernel's sockets (`--device kernel`), and
 * a command line that says plainly what is wrong with it (design §5).
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { itAnswersLikeAWebServer } from './kit/answers.ts'
import { run, start } from './kit/command.ts'
import { curlTree } from './kit/curlTree.ts'
import { fetchTree } from './kit/fetchTree.ts'
import { freePort } from './kit/freePort.ts'
import { request } from './kit/httpClient.ts'
import { needs } from './kit/privileges.ts'
import {
  assertRefused,
  commandLine,
  ROOT,
  runCommand,
  Server,
  type ServerOptions,
} from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'
import { makeTree, type Tree } from './kit/tree.ts'

const timeout = 120_000

describe('on the kernel’s sockets', { timeout }, () => {
  let tree: Tree
  let server: Server

  before(async () => {
    tree = makeTree(60)
    server = await serveOnKernel(tree.dir)
  })
  after(async () => {
    await server?.kill()
    tree?.remove()
  })

  it('says where it listens and on which device', () => {
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.equal(server.device, 'kernel')
  })

  for (const close of [false, true]) {
    const mode = close ? 'a connection per request' : 'keep-alive'

    it(`serves a tree to Node's http client, ${mode}`, async () => {
      assert.deepEqual((await fetchTree(server.url, tree.files, { close })).wrong, [])
    })

    it(`serves a tree to curl, ${mode}`, needs('curl'), async () => {
      assert.deepEqual((await curlTree(server.url, tree.files, { close })).wrong, [])
    })
  }

  itAnswersLikeAWebServer(
    async (...requests) => (await request(server.url, requests, { maxSockets: 1 })).answers,
    () => tree.files.find(file => file.bytes === 22 * 1024)!,
  )

  it('refuses a port that is taken and goes on', async () => {
    const port = new URL(server.url).port
    const args = ['serve', tree.dir, '--device', 'kernel', '--port', port]
    assertRefused(await runCommand(args), new RegExp(port))
    assert.deepEqual((await fetchTree(server.url, tree.files.slice(0, 5))).wrong, [])
  })

  it('stops cleanly on SIGINT', async () => {
    await server.stop('SIGINT')
  })
})

describe('a folder that is not quite right', { timeout }, () => {
  let dir: string
  let server: Server | undefined

  before(() => {
    dir = temporaryFolder('odd').path
  })
  afterEach(() => server?.kill())

  it('warns of a file that cannot be read and serves the rest', async () => {
    writeFileSync(join(dir, 'good.txt'), 'good')
    symlinkSync('nowhere', join(dir, 'broken.txt'))
    server = await serveOnKernel(dir)
    const paths = ['/good.txt', '/broken.txt']
    const { answers } = await request(
      server.url,
      paths.map(path => ({ path })),
    )
    assert.equal(answers[0].status, 200)
    assert.ok([403, 404].includes(answers[1].status), `status ${answers[1].status}`)
    assert.match(server.stderr, /^[^\n]*broken\.txt[^\n]*$/m)
    await server.stop('SIGTERM')
  })
})

describe('a server that is told to end', { timeout }, () => {
  it(
    'resets what it cannot finish in time, so that nobody takes it for whole',
    needs('curl'),
    async () => {
      const dir = temporaryFolder('drain').path
      writeFileSync(join(dir, 'big.bin'), Buffer.alloc(20_000_000))
      const config = join(dir, 'sandstorm.json')
      writeFileSync(config, JSON.stringify({ limits: { drainTimeout: '200ms' } }))
      const server = await serveOnKernel(dir, {}, '--config', config)
      const slow = run([
        'curl',
        '-s',
        '-o',
        '/dev/null',
        '--limit-rate',
        '1M',
        `${server.url}/big.bin`,
      ])
      await setTimeout(500)
      await server.stop('SIGTERM')
      const RECV_ERROR = 56 // and a FIN is 18
      assert.equal((await slow).code, RECV_ERROR)
    },
  )
})

describe('an access log on stdout that nobody reads', { timeout }, () => {
  it('does not keep a server that is told to end', async () => {
    const dir = temporaryFolder('unread').path
    const port = await freePort()
    const args = ['--device', 'kernel', '--port', String(port), '--access-log', '-']
    const child = start(commandLine('serve', dir, ...args))
    await once(child.stdout!, 'data')
    child.stdout!.pause()
    const requests = Array.from({ length: 500 }, () => ({ path: `/${'x'.repeat(1900)}` }))
    await request(`http://127.0.0.1:${port}`, requests)
    await setTimeout(500)
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
  })
})

describe('a process that may have few files open', { timeout }, () => {
  it('refuses clients before it lacks files to read its folder with', async () => {
    const dir = temporaryFolder('few-files').path
    writeFileSync(join(dir, 'a.txt'), 'before')
    const prefix = ['sh', '-c', 'ulimit -n 200; exec "$@"', 'sh']
    const server = await serveOnKernel(dir, { prefix })
    const { hostname: host, port } = new URL(server.url)
    const sockets = Array.from({ length: 250 }, () => connect({ host, port: Number(port) }))
    try {
      assert.match(server.stderr, /^sandstorm: 85 connections at the same time at most, not 10000/m)
      await Promise.all(sockets.map(socket => once(socket, 'connect')))
      writeFileSync(join(dir, 'a.txt'), 'after')
      const [first] = sockets
      let answers = ''
      first.on('data', bytes => {
        answers += bytes
      })
      while (!answers.endsWith('after')) {
        assert.doesNotMatch(answers, /HTTP\/1.1 (?!200)/)
        first.write('GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n')
        await setTimeout(50)
      }
    } finally {
      for (const socket of sockets) socket.destroy()
      await server.kill()
    }
  })
})

describe('the command line', { timeout }, () => {
  let dir: string

  before(() => {
    dir = temporaryFolder('cli').path
    writeFileSync(join(dir, 'index.html'), 'x'.repeat(22 * 1024))
  })

  const serve = (device: string, ...flags: string[]): (() => string[]) => {
    return () => ['serve', dir, '--device', device, ...flags]
  }
  const refused: [what: string, args: () => string[], says: RegExp][] = [
    ['an unknown command', () => ['sreve', dir], /sreve/],
    ['no folder', () => ['serve'], /dir|folder/i],
    ['a folder that is not there', () => ['serve', join(dir, 'missing')], /missing/],
    ['a file for a folder', () => ['serve', join(dir, 'index.html')], /index\.html/],
    ['an unknown flag', serve('kernel', '--wings', '2'), /--wings/],
    ['a port that is no number', serve('kernel', '--port', 'eighty'), /eighty/],
    ['a port out of range', serve('kernel', '--port', '65536'), /65536/],
    ['an unknown device', serve('floppy'), /floppy/],
    ['an address that is none', serve('kernel', '--address', '10.77.0.256'), /10\.77\.0\.256/],
    ['a size that is none', serve('kernel', '--memory', 'plenty'), /plenty/],
    ['an MTU that is none', serve('tap', '--mtu', 'big'), /big/],
    ['an unknown fault', serve('tap', '--fault', 'melt=0.5'), /melt/],
    ['a fault that is no probability', serve('tap', '--fault', 'drop=2'), /drop/],
    ['an unknown strategy', serve('tap', '--transmit', 'pigeon'), /pigeon/],
    [
      'a file to explain that is not there',
      () => ['explain', join(dir, 'none.html')],
      /none\.html/,
    ],
  ]
  for (const [what, args, says] of refused) {
    it(`refuses ${what} in one line, exit code 2`, async () => {
      assertRefused(await runCommand(args()), says)
    })
  }

  for (const command of [[], ['serve'], ['explain'], ['doctor']]) {
    it(`helps: ${['sandstorm', ...command, '--help'].join(' ')}`, async () => {
      const { code, stdout, stderr } = await runCommand([...command, '--help'])
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, new RegExp(`sandstorm.*${command[0] ?? ''}`))
    })
  }

  it('tells its version', async () => {
    const text = readFileSync(`${ROOT}packages/sandstorm/package.json`, 'utf8')
    const { version } = JSON.parse(text) as { version: string }
    const { code, stdout } = await runCommand(['--version'])
    assert.deepEqual({ code, stdout }, { code: 0, stdout: `${version}\n` })
  })

  it('explains the frames of a file', async () => {
    const { code, stdout } = await runCommand(['explain', join(dir, 'index.html')])
    assert.equal(code, 0)
    assert.match(stdout, /\b22[,. ]?528\b/, 'the size of the body')
    assert.match(stdout, /frames?/)
  })

  it('tells what the machine can do', async () => {
    const { code, stdout } = await runCommand(['doctor'])
    const ONLY_KERNEL = 1
    assert.ok(code === 0 || code === ONLY_KERNEL, `exit code ${code}`)
    assert.match(stdout, /tap/i)
  })
})

async function serveOnKernel(
  dir: string,
  options: ServerOptions = {},
  ...flags: string[]
): Promise<Server> {
  const port = String(await freePort())
  return Server.serve([dir, '--device', 'kernel', '--port', port, ...flags], options)
}
