/** The examples as a newcomer runs them: alone in memory, and over TAP against the kernel's TCP. */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type CommandOptions, collect, type Outcome, run, start } from './kit/command.ts'
import { Namespace } from './kit/namespace.ts'
import { becomeNobody } from './kit/nobody.ts'
import { needs } from './kit/privileges.ts'

const FOLDER = fileURLToPath(new URL('../../examples/', import.meta.url))
const timeout = 60_000
const command = (name: string, ...args: string[]): string[] => [
  process.execPath,
  `${FOLDER}dist/${name}.js`,
  ...args,
]

describe('the examples in memory', { timeout }, () => {
  const runExample = (name: string): Promise<Outcome> =>
    run(command(name, '--device', 'memory'), { limitMs: 30_000 })

  it('echo: everything comes back', async () => {
    const { code, stdout, stderr } = await runExample('echo')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^50000 bytes came back as they were$/m)
  })

  it('rpc: prints a latency', async () => {
    const { code, stdout, stderr } = await runExample('rpc')
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^20000 calls: median \d+\.\d us, 99 % within \d+\.\d us\n$/)
  })

  it('each is under 80 lines', () => {
    const files = readdirSync(FOLDER).filter(file => file.endsWith('.ts'))
    assert.ok(files.length >= 3)
    for (const file of files) {
      const lines = readFileSync(FOLDER + file, 'utf8').split('\n').length - 1
      assert.ok(lines < 80, `${file} has ${lines} lines`)
    }
  })
})

/**
 * Connects, sends argv[1] bytes, shuts down, and prints how many came back and whether all were
 * right.
 */
const ECHO_CLIENT = `
  const net = require('node:net')
  const sent = Buffer.from(Array.from({ length: +process.argv[1] }, (_, i) => (i * 7919) >> 5))
  const got = []
  const socket = net.connect({ host: '10.77.0.2', port: 7, allowHalfOpen: true }, () => socket.end(sent))
  socket.on('data', data => got.push(data))
  socket.on('end', () => console.log(Buffer.concat(got).equals(sent), got.length > 0))`

/** Sends requests one by one and in one piece, and prints the answers as hex. */
const RPC_CLIENT = `
  const net = require('node:net')
  const socket = net.connect({ host: '10.77.0.2', port: 7000 }, async () => {
    for (const byte of [3, 1, 2, 3, 0, 1]) {
      socket.write(Buffer.of(byte))
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    socket.end(Buffer.of(255, 2, 254, 253))
  })
  let hex = ''
  socket.on('data', data => { hex += data.toString('hex') })
  socket.on('end', () => console.log(hex))`

describe('the examples over TAP', { ...needs('root', 'tun', 'ip'), timeout }, () => {
  let namespace: Namespace
  let stop = async (): Promise<void> => {}

  /** Starts an example and waits until it says that it is ready. */
  async function serve(argv: string[], options: CommandOptions = {}): Promise<() => string> {
    const child = start(argv, { namespace, ...options })
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
    const ended = new Promise<number>(resolve => {
      child.once('close', code => resolve(code ?? -1))
    })
    stop = async () => {
      child.kill('SIGINT')
      await ended
    }
    const ready = new Promise<void>(resolve => {
      child.stdout?.on('data', () => {
        if (stdout().includes('Ctrl-C')) resolve()
      })
    })
    const early = ended.then(code => Promise.reject(new Error(`code ${code}: ${stderr()}`)))
    await Promise.race([ready, early])
    early.catch(() => {})
    return stdout
  }

  const runClient = async (script: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run([process.execPath, '-e', script, '--', ...args], {
      namespace,
      limitMs: 30_000,
    })
    assert.equal(code, 0, stderr)
    return stdout.trim()
  }

  before(() => {
    namespace = new Namespace()
  })
  afterEach(() => stop())
  after(() => namespace?.remove())

  it('echo gives the kernel back what it sends, and the interface goes with it', async () => {
    const stdout = await serve(command('echo'))
    for (const count of [1, 1460, 100_000, 3_000_000]) {
      assert.equal(await runClient(ECHO_CLIENT, `${count}`), 'true true', `${count} bytes`)
    }
    assert.match(stdout(), /10\.77\.0\.1:\d+ is here\n10\.77\.0\.1:\d+ is gone: finished\n/)
    await stop()
    assert.deepEqual(namespace.interfaces(), [])
  })

  it('rpc answers requests, however they are cut', async () => {
    await serve(command('rpc', '--device', 'tap'))
    assert.equal(await runClient(RPC_CLIENT), '03fefdfc000100020102')
  })

  it('without privileges each says in one line what is missing', async () => {
    const nobody = becomeNobody()
    for (const argv of [command('echo'), command('rpc', '--device', 'tap')]) {
      const { code, stdout, stderr } = await run([...nobody.prefix, ...argv], { namespace })
      assert.equal(code, 2, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, /^[^\n]*sudo[^\n]*\n$/)
    }
    nobody.remove()
  })
})
