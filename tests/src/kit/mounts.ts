/**
 * Our server on both of its mounts, the kernel's TCP and our own over a TAP, each with its clients
 * in a namespace of its own: a test says once what a client must see, and holds both to it.
 */
import assert from 'node:assert/strict'
import { type CommandOptions, type Outcome, run } from './command.ts'
import { Namespace } from './namespace.ts'
import type { Need } from './privileges.ts'
import { commandLine, Server, type ServerOptions } from './server.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary.ts'

export interface Mount {
  readonly name: string
  readonly flags: readonly string[]
  /** For `needs`, beside the clients. */
  readonly needs: readonly Need[]
}

const TAP = 'tap'

export const MOUNTS: readonly Mount[] = [
  { name: 'on the kernel’s sockets', flags: ['--device', 'kernel'], needs: ['root', 'ip'] },
  { name: 'over TAP', flags: ['--device', TAP], needs: ['root', 'ip', 'tun'] },
]

/**
 * How long connections may take to end once their clients are gone: beyond every time-out of a
 * head.
 */
const EMPTY_LIMIT_MS = 30_000

/** A server that runs, and the namespace of its clients. */
export class Mounted {
  readonly namespace: Namespace
  readonly #mount: Mount
  readonly #controls: TemporaryFolder
  readonly #start: () => Promise<Server>
  #server: Server

  private constructor(
    mount: Mount,
    namespace: Namespace,
    controls: TemporaryFolder,
    start: () => Promise<Server>,
    server: Server,
  ) {
    this.#mount = mount
    this.namespace = namespace
    this.#controls = controls
    this.#start = start
    this.#server = server
  }

  /** Serves a folder, with further flags; or what they say, if there is none. */
  static async serve(
    mount: Mount,
    dir: string | undefined,
    flags: readonly string[] = [],
    options: Pick<ServerOptions, 'prefix'> = {},
  ): Promise<Mounted> {
    const namespace = new Namespace()
    const controls = temporaryFolder('control')
    const env = { SANDSTORM_RUNTIME_DIR: controls.path }
    const args = [...(dir === undefined ? [] : [dir]), ...mount.flags, ...flags]
    const start = (): Promise<Server> => Server.serve(args, { ...options, namespace, env })
    return new Mounted(mount, namespace, controls, start, await start())
  }

  get server(): Server {
    return this.#server
  }

  /** Ends the server by SIGKILL and starts it again. */
  async restart(): Promise<void> {
    await this.#server.kill()
    this.#server = await this.#start()
  }

  get url(): string {
    return this.server.url
  }

  /** Runs a client to its end, as `command.run`. */
  run(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
    return run(argv, { ...options, namespace: this.namespace })
  }

  /** Runs a client that must end with code 0; what it printed. */
  async succeed(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(argv, options)
    assert.equal(code, 0, `${argv.join(' ')}\n${stdout}${stderr}`)
    return stdout
  }

  /** How many connections the server has, in whatever state but TIME-WAIT. */
  async countConnections(): Promise<number> {
    const lines = await (this.#isTap ? this.#ownConnections() : this.#kernelConnections())
    return lines.length
  }

  /** Waits until all connections are gone; then stops the server, which must hold nothing. */
  async stopEmpty(): Promise<void> {
    const end = Date.now() + EMPTY_LIMIT_MS
    let count = await this.countConnections()
    while (count > 0 && Date.now() < end) count = await this.countConnections()
    assert.equal(count, 0, 'connections without a client')
    if (this.#isTap) await this.server.stopDrained()
    else {
      await this.server.stop()
      assert.equal((this.server.stats as unknown as { open: number }).open, 0, 'at the end')
    }
  }

  /** For `after`: whatever still runs is ended, and nothing is left. */
  async remove(): Promise<void> {
    await this.server.kill()
    this.namespace.remove()
    this.#controls.remove()
  }

  get #isTap(): boolean {
    return this.#mount.flags.includes(TAP)
  }

  async #ownConnections(): Promise<string[]> {
    const env = { SANDSTORM_RUNTIME_DIR: this.#controls.path }
    const stdout = await this.succeed(commandLine('conns', '--json'), { env })
    return stdout.split('\n').filter(line => line.includes('"type":"connection"'))
  }

  async #kernelConnections(): Promise<string[]> {
    const { port } = new URL(this.url)
    const held = ['state', 'connected', 'exclude', 'time-wait']
    const stdout = await this.succeed(['ss', '-Htn', ...held, `sport = :${port}`])
    return stdout.split('\n').filter(Boolean)
  }
}
