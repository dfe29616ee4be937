/** `serve` around an instance that is made here: its one line, its signals, its exit code. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ServeParts, serve } from '../src/cli/serve.ts'
import { problemsOf, readConfigFile } from '../src/config/file.ts'
import { loadConfig } from '../src/config/load.ts'
import { checkConfig, type ServeConfig } from '../src/config.ts'
import type { Instance } from '../src/instance/instance.ts'
import { plainSite } from '../src/site/site.ts'
import { makeTree } from './contentTree.ts'

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

/** Sends a signal once serving has begun. */
const sends = (signal: NodeJS.Signals) => (): void => void process.kill(process.pid, signal)
const end = sends('SIGINT')

test('SIGUSR1 asks for a new log file and no more, and serving goes on', async () => {
  const { parts, events } = makeParts({
    reopenLogs: async () => {
      events.push('reopen')
      end()
    },
    reload: async () => void events.push('reload'),
  })
  assert.equal(await serve(config, { ...parts, print: sends('SIGUSR1') }), 0)
  assert.deepEqual(events, ['reopen', 'stop'])
})

describe('SIGHUP', () => {
  /** What is said, without durations. */
  const said = (events: readonly string[]): string[] =>
    events.map(event => event.replace(/^err sandstorm: /, '').replace(/ \d+ ms\n$|\n$/, ''))
  const next: ServeConfig = { ...config, sites: [plainSite('/next')] }

  test('asks for a new log file and reloads the configuration, and serving goes on', async () => {
    const { parts, events } = makeParts({
      reopenLogs: async () => void events.push('reopen'),
      reload: async ({ sites }) => {
        events.push(`reload ${sites[0].root}`)
        setImmediate(end)
      },
    })
    const reread = async (): Promise<ServeConfig> => next
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP'), reread }), 0)
    const wanted = ['reopen', 'reloading …', 'reload /next', 'reloaded in', 'stop']
    assert.deepEqual(said(events), wanted)
  })

  test('without a configuration file reloads with what there is', async () => {
    let given: ServeConfig | undefined
    const { parts } = makeParts({
      reload: async one => {
        given = one
        end()
      },
    })
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP') }), 0)
    assert.deepEqual(given, config)
  })

  test('that comes while the content is loaded is not lost', async () => {
    const { parts, events } = makeParts({
      reopenLogs: async () => void events.push('reopen'),
      reload: async () => end(),
    })
    const start = async (...args: Parameters<ServeParts['start']>): Promise<Instance> => {
      const heard = once(process, 'SIGHUP')
      process.kill(process.pid, 'SIGHUP')
      await heard
      return parts.start(...args)
    }
    assert.equal(await serve(config, { ...parts, start }), 0)
    assert.deepEqual(said(events).slice(0, 3), [LINE, 'reopen', 'reloading …'])
  })

  test('tells every mistake of the file, and goes on with what it has', async t => {
    const root = makeTree(t, { 'www/index.html': '', 'sandstorm.json': '' })
    const file = join(root, 'sandstorm.json')
    writeFileSync(file, '{ "root": "www", "memory": "1K", "workers": 1, "address": "x" }')
    const { parts, events } = makeParts({ reload: async () => void events.push('reload') })
    const complain = (text: string): void => {
      parts.complain(text)
      if (text.includes('not reloaded')) end()
    }
    const reread = (): Promise<ServeConfig> => loadConfig(undefined, { config: file, port: '80' })
    const run = serve(config, { ...parts, print: sends('SIGHUP'), complain, reread })
    assert.equal(await run, 0)
    const found = problemsOf(await readConfigFile(file)).map(({ message }) => message)
    assert.equal(found.length, 2)
    assert.deepEqual(said(events), [
      'reloading …',
      ...found,
      'not reloaded: the configuration is wrong; serving goes on as before',
      'stop',
    ])
  })

  test('tells why an instance cannot reload, and may be sent again', async () => {
    let count = 0
    const { parts, events } = makeParts({
      reload: async () => {
        if (++count === 2) end()
        throw new Error('memory is full')
      },
    })
    const complain = (text: string): void => {
      parts.complain(text)
      if (text.includes('not reloaded')) sends('SIGHUP')()
    }
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP'), complain }), 0)
    const failed = 'not reloaded: memory is full; serving goes on as before'
    assert.deepEqual(said(events).slice(0, 4), ['reloading …', failed, 'reloading …', failed])
  })

  test('several times during a reload leads to one more, after it', async () => {
    let running = 0
    const { parts, events } = makeParts({
      reload: async () => {
        assert.equal(++running, 1)
        if (said(events).filter(event => event === 'reloading …').length === 1)
          for (let i = 0; i < 3; i++) {
            const heard = once(process, 'SIGHUP')
            process.kill(process.pid, 'SIGHUP')
            await heard
          }
        else setImmediate(() => setImmediate(end)) // a third one would begin before
        running--
      },
    })
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP') }), 0)
    const wanted = ['reloading …', 'reloaded in', 'reloading …', 'reloaded in', 'stop']
    assert.deepEqual(said(events), wanted)
  })

  test('names what only a restart brings, and reloads the rest', async () => {
    let given: ServeConfig | undefined
    const { parts, events } = makeParts({
      reload: async one => {
        given = one
        setImmediate(end)
      },
    })
    const reread = async (): Promise<ServeConfig> => ({ ...next, workers: 7, port: 81 })
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP'), reread }), 0)
    assert.equal(said(events)[1], 'changed, but only a restart brings it: port, workers')
    assert.deepEqual(given, next)
  })

  test('changes how much is said', async () => {
    let count = 0
    const { parts, events } = makeParts({
      reload: async () => {
        if (++count === 2) end()
      },
    })
    const complain = (text: string): void => {
      parts.complain(text)
      if (text.includes('reloaded')) sends('SIGHUP')()
    }
    const quiet = { ...config, logLevel: 'warn' } as const
    const reread = async (): Promise<ServeConfig> => config
    assert.equal(await serve(quiet, { ...parts, print: sends('SIGHUP'), complain, reread }), 0)
    assert.deepEqual(said(events).slice(0, 2), ['reloaded in', 'reloading …'])
  })

  test('has no say once the server stops', async () => {
    let finish = (): void => {}
    const { parts, events } = makeParts({
      reload: () =>
        new Promise((_, reject) => {
          finish = () => reject(new Error('stopped'))
          end()
        }),
      stop: async () => {
        events.push('stop')
        const heard = once(process, 'SIGHUP')
        process.kill(process.pid, 'SIGHUP')
        await heard
        finish()
        await new Promise(resolve => setImmediate(resolve))
      },
    })
    assert.equal(await serve(config, { ...parts, print: sends('SIGHUP') }), 0)
    assert.deepEqual(said(events), ['reloading …', 'stop'])
  })
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
