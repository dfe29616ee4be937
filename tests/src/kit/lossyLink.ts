/**
 * A long and lossy cable in real time: two TAPs, one in a client's namespace and one in a server's,
 * and a process between them that gives the link a rate, a drop-tail queue, a delay and random
 * loss, the same both ways. The kernel that this project is tested on has no netem.
 *
 *     client's namespace           |             server's namespace
 *     kernel TCP ── TAP ── lossyLinkChild.ts ── TAP ── bridge ── our server's TAP
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'
import { HOST_ADDRESS } from './server.ts'

export interface LinkOptions {
  /** Largest IP packet. */
  readonly mtu: number
  /** One way, microseconds. */
  readonly delayUs: number
  readonly bytesPerSecond: number
  /** What may wait before the link, bytes. */
  readonly queueBytes: number
  /** Probability that a frame, ARP left out, is lost. */
  readonly loss: number
  readonly seed: number
}

/** What the child process is told. */
export interface LinkJob extends LinkOptions {
  readonly names: readonly [string, string]
}

/** Frames of one direction. */
export interface DirectionStats {
  readonly sent: number
  readonly lost: number
  readonly overflowed: number
}

export interface LinkStats {
  readonly toServer: DirectionStats
  readonly toClient: DirectionStats
}

/** 40 ms of round trip, 20 Mbit/s, room for one round trip's worth of data; no loss. */
export const LONG_LINK: LinkOptions = {
  mtu: 1500,
  delayUs: 20_000,
  bytesPerSecond: 2_500_000,
  queueBytes: 100_000,
  loss: 0,
  seed: 1,
}

const CHILD = fileURLToPath(new URL('lossyLinkChild.js', import.meta.url))
const CLIENT_END = 'loss-c'
const SERVER_END = 'loss-s'
const BRIDGE = 'loss-br'

export class LossyLink {
  readonly #child: ChildProcess
  readonly #server: Namespace
  readonly #stdout: () => string
  readonly #stderr: () => string

  private constructor(child: ChildProcess, server: Namespace) {
    this.#child = child
    this.#server = server
    this.#stdout = collect(child.stdout)
    this.#stderr = collect(child.stderr)
  }

  /**
   * Lays the cable: the client's end gets the address that clients have by default, the server's
   * end is a port of a bridge.
   */
  static async lay(
    client: Namespace,
    server: Namespace,
    options: Partial<LinkOptions> = {},
  ): Promise<LossyLink> {
    const job: LinkJob = { names: [CLIENT_END, SERVER_END], ...LONG_LINK, ...options }
    const argv = [process.execPath, '--enable-source-maps', CHILD, JSON.stringify(job)]
    const link = new LossyLink(start(argv, { namespace: client }), server)
    await link.#ready()
    client.ip('link', 'set', SERVER_END, 'netns', server.name)
    client.ip('address', 'add', `${HOST_ADDRESS}/24`, 'dev', CLIENT_END)
    server.ip('link', 'add', BRIDGE, 'type', 'bridge')
    server.ip('link', 'set', BRIDGE, 'up')
    link.plug(SERVER_END)
    return link
  }

  /** Makes an interface of the server's namespace, its TAP, one end of the cable. */
  plug(name: string): void {
    this.#server.ip('link', 'set', name, 'master', BRIDGE)
    this.#server.ip('link', 'set', name, 'up')
  }

  /** Takes the cable away; answers what happened on it. */
  async cut(): Promise<LinkStats> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    const [code] = await closed
    assert.equal(code, 0, `the link ended with code ${code}: ${this.#stderr()}`)
    const line = this.#stdout().trim().split('\n').at(-1) ?? ''
    const [toServer, toClient] = JSON.parse(line) as DirectionStats[]
    return { toServer, toClient }
  }

  async #ready(): Promise<void> {
    await Promise.race([once(this.#child.stdout!, 'data'), once(this.#child, 'close')])
    assert.equal(this.#stdout(), 'ready\n', `the link did not start: ${this.#stderr()}`)
  }
}
