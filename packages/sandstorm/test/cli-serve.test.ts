/** `serve` around an instance that is made here: its one line, its signals, its exit code. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { type ServeParts, serve } from '../src/cli/serve.ts'
import { checkConfig } from '../src/config.ts'
import type { Instance } from '../src/instance/instance.ts'

const config = checkConfig({ root: '.' })
const forever = new Promise<never>(() => {})

// A real instance holds the event loop open; a signal handler alone does not.
let held: NodeJS.Timeout
before(() => {
  held = setInterval(() => {}, 1000)
})
after(() => clearInterval(held))

/** Parts that note what happens; `change` replaces members of the instance. */
function makeParts(change: Partial<Instance>): { parts: ServeParts; events: string[] } {
  const events: string[] = []
  const instance: Instance = {
    endpoints: [{ url: 'http://10.77.0.2/', device: 'tap:sand0' }],
    done: forever,
    stop: async () => void events.push('stop'),
    metrics: async () => ({ counters: {} }),
    ...change,
  }
  const parts: ServeParts = {
    start: async () => instance,
    print: line => events.push(`out ${line}`),
    complain: text => events.push(`err ${text}`),
  }
  return { parts, events }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1']
const listeners = (): number =>
  SIGNALS.reduce((sum, signal) => sum + process.listenerCount(signal), 0)
const LINE = 'out listening on http://10.77.0.2:80/ (device tap:sand0)'

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  test(`${signal} stops cleanly: exit code 0, no handler left behind`, async () => {
    const { parts, events } = makeParts({})
    const handlers = listeners()
    const code = serve(config, { ...parts, print: line => print(line) })
    const print = (line: string): void => {
      parts.print(line)
      process.kill(process.pid, signal)
    }
    assert.equal(await code, 0)
    assert.deepEqual(events, [LINE, 'stop'])
    assert.equal(listeners(), handlers)
  })

test('the port is printed as the instance has it', async () => {
  const { parts, events } = makeParts({
    endpoints: [{ url: 'http://127.0.0.1:8080/', device: 'kernel' }],
    done: Promise.resolve({ code: 0, message: '' }),
  })
  assert.equal(await serve(config, parts), 0)
  assert.deepEqual(events, ['out listening on http://127.0.0.1:8080/ (device kernel)'])
})

test('an instance that ends by itself says why and sets the exit code', async () => {
  const ended = Promise.resolve({ code: 1, message: 'tap:sand0: the interface was removed' })
  const { parts, events } = makeParts({ done: ended })
  assert.equal(await serve(config, parts), 1)
  assert.deepEqual(events, [LINE, 'err sandstorm: tap:sand0: the interface was removed\n'])
})

for (const signal of ['SIGHUP', 'SIGUSR1'] as const)
  test(`${signal} asks for a new log file, and serving goes on`, async () => {
    const { parts, events } = makeParts({
      reopenLogs: async () => {
        events.push('reopen')
        process.kill(process.pid, 'SIGINT')
      },
    })
    const print = (): void => void process.kill(process.pid, signal)
    assert.equal(await serve(config, { ...parts, print }), 0)
    assert.deepEqual(events, ['reopen', 'stop'])
  })

test('a start that fails leaves no handler behind', async () => {
  const handlers = listeners()
  const { parts } = makeParts({})
  const failing = { ...parts, start: () => Promise.reject(new Error('busy')) }
  await assert.rejects(serve(config, failing), /busy/)
  assert.equal(listeners(), handlers)
})

describe('in a process of its own', () => {
  const script = `
    import { serve } from '${new URL('../src/cli/serve.js', import.meta.url)}'
    const never = new Promise(() => {})
    setInterval(() => {}, 1000)
    const stop = () => { console.log('stopping'); return never }
    await serve({}, {
      start: async () => ({ endpoints: [{ url: 'http://10.77.0.2/', device: 'x' }], stop, done: never }),
      print: console.log, complain: console.error,
    })`

  test('the second signal ends it at once, though stop never settles', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let printed = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text
      if (/listening|stopping/.test(text)) child.kill('SIGINT')
    })
    const signal = await new Promise(resolve => child.on('close', (_code, by) => resolve(by)))
    assert.equal(signal, 'SIGINT', 'a shell sees 130')
    assert.match(printed, /^listening on .*\nstopping\n$/)
  })
})
