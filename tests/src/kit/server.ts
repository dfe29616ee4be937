/**
 * `sandstorm` as a stranger runs it: the committed command in a process of its own, in a namespace
 * or outside of any. Tests see it only through its command line, its output and the network.
 *
 * With SANDSTORM_STATS=1 the server prints its counters at a clean stop, after the drain, as one
 * line `stats {json}` on stderr; that is how a test sees a leak from outside.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, type Outcome, run, start } from './command.ts'
import type { Namespace } from './namespace.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary.ts'

/** The root of the clone, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url))
/** The folder that `npm start` serves. */
export const SITE: string = `${ROOT}examples/site`
/** Where the server answers by default on every device but `kernel`. */
export const TAP_ADDRESS = '10.77.0.2'
export const HOST_ADDRESS = '10.77.0.1'
export const TAP_ADDRESS6 = 'fd77::2'

const BIN = `${ROOT}packages/sandstorm/bin/sandstorm.js`
const READY = /^listening on (http:\/\/[^\s/]+)\/ \(device (.+)\)$/m
const READY_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 30_000

/** The counters of one server run. */
export interface Stats {
  /** What is held: all zero after a drain (design: invariant 6). */
  readonly inUse: Readonly<Record<string, number>>
  /** Frames dropped, by the name of the reason. */
  readonly drops: Readonly<Record<string, number>>
  /** TCP's counters. */
  readonly tcp: Readonly<Record<string, number>>
  /** The devices' counters, added up. */
  readonly device: Readonly<Record<string, number>>
}

/** What `inUse` tells at least. */
const HELD = ['connections', 'timers', 'sendRecords', 'framesInFlight']

export interface ServerOptions {
  readonly namespace?: Namespace | undefined
  /** Put in front of `node …`, for instance to run it as somebody else. */
  readonly prefix?: readonly string[]
  readonly env?: Record<string, string>
}

/**
 * The command line of `sandstorm …` with this process's own Node. No source maps: they cost each
 * start 0.15 s of CPU time beside 0.5, and a bundle's stack can be read without.
 */
export function commandLine(...args: string[]): string[] {
  return [process.execPath, BIN, ...args]
}

/** Runs a `sandstorm` command that ends by itself. */
export function runCommand(args: readonly string[], namespace?: Namespace): Promise<Outcome> {
  return run(commandLine(...args), { namespace, limitMs: 20_000 })
}

export class Server {
  /** As in the listening line, without the slash at the end: `http://10.77.0.2:80`. */
  readonly url: string
  /** As in the listening line: `tap:sand0`. */
  readonly device: string
  readonly #child: ChildProcess
  readonly #ended: Promise<number>
  readonly #stdout: () => string
  readonly #stderr: () => string

  private constructor(process: Process, url: string, device: string) {
    this.#child = process.child
    this.#ended = process.ended
    this.#stdout = process.stdout
    this.#stderr = process.stderr
    this.url = url
    this.device = device
  }

  /** `sandstorm serve ARGS`, ready when it says so. Rejects with all it said if it ends before. */
  static async serve(args: readonly string[], options: ServerOptions = {}): Promise<Server> {
    const process = startProcess(['serve', ...args], options)
    const said = (): string => `stdout: ${process.stdout()}\nstderr: ${process.stderr()}`
    const [, url, device] = await new Promise<RegExpExecArray>((resolve, reject) => {
      const limit = setTimeout(() => {
        process.child.kill('SIGKILL')
        reject(new Error(`the server is not ready after ${READY_LIMIT_MS} ms\n${said()}`))
      }, READY_LIMIT_MS)
      process.child.stdout?.on('data', () => {
        const ready = READY.exec(process.stdout())
        if (ready === null) return
        clearTimeout(limit)
        resolve(ready)
      })
      process.ended.then(code => {
        clearTimeout(limit)
        reject(new Error(`the server ended with code ${code} before it was ready\n${said()}`))
      }, reject)
    })
    return new Server(process, url, device)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }
  get stdout(): string {
    return this.#stdout()
  }
  get stderr(): string {
    return this.#stderr()
  }
  /** Once it has ended by itself. */
  get exitCode(): number | null {
    return this.#child.exitCode
  }
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Asks it to stop and holds it to exit code 0 within a time. */
  async stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGINT'): Promise<void> {
    this.#child.kill(signal)
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS)
    const code = await this.#ended
    clearTimeout(limit)
    assert.equal(code, 0, `exit code after ${signal}; stderr:\n${this.stderr}`)
  }

  /** Sends a signal that does not end it. */
  signal(signal: 'SIGHUP' | 'SIGUSR1'): void {
    this.#child.kill(signal)
  }

  /** The counters at the end, once it has stopped. */
  get stats(): Stats {
    const line = /^stats (\{.*\})$/m.exec(this.stderr)
    assert.ok(line, `no stats line; stderr:\n${this.stderr}`)
    return JSON.parse(line[1]) as Stats
  }

  /** As `stop`; then nothing may be left: no connection, timer, send record, frame. */
  async stopDrained(): Promise<Stats> {
    await this.stop()
    const { stats } = this
    for (const what of HELD) assert.ok(what in stats.inUse, `the counters tell of ${what}`)
    const held = Object.entries(stats.inUse).filter(([, count]) => count !== 0)
    assert.deepEqual(held, [], 'what the server still holds after the drain')
    return stats
  }

  /** Ends it without asking: for tests of what is left behind, and for clean-up. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    // Closed here, so that nothing waits for a descendant that holds the other end.
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
    await this.#ended
  }
}

/**
 * Bad input (design §5): exit code 2, one clear line on stderr that names `what`, no stack trace.
 */
export function assertRefused(outcome: Outcome, what: RegExp): void {
  assert.equal(outcome.code, 2, `exit code; stderr:\n${outcome.stderr}`)
  assert.equal(outcome.stdout, '', 'nothing on stdout')
  assert.match(outcome.stderr, /^[^\n]+\n$/, 'one line on stderr')
  assert.match(outcome.stderr, what)
}

/** Where servers put their control sockets, also those that are killed and leave them. */
let controls: TemporaryFolder | undefined

interface Process {
  readonly child: ChildProcess
  /** The exit code, -1 after a signal. */
  readonly ended: Promise<number>
  readonly stdout: () => string
  readonly stderr: () => string
}

function startProcess(args: string[], options: ServerOptions): Process {
  const argv = [...(options.prefix ?? []), ...commandLine(...args)]
  controls ??= temporaryFolder('control')
  const env = { SANDSTORM_RUNTIME_DIR: controls.path, ...options.env, SANDSTORM_STATS: '1' }
  const child = start(argv, { namespace: options.namespace, env })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('close', code => resolve(code ?? -1))
    child.once('error', reject)
  })
  return { child, ended, stdout: collect(child.stdout), stderr: collect(child.stderr) }
}
