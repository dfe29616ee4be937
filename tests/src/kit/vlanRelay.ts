/**
 * An access port of a VLAN: what the kernel of the machines that this project is tested on lacks. A
 * process between two TAPs puts a tag into what comes from one, which has a client's addresses, and
 * takes it out of what comes from the other, which is a port of the server's bridge.
 *
 *     kernel TCP ── access ── vlanRelayChild.ts ── trunk ── bridge ── our server's TAP
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

/** What the child process is told. */
export interface RelayJob {
  readonly access: string
  /** The client's addresses, with their subnets. */
  readonly addresses: readonly string[]
  readonly trunk: string
  readonly bridge: string
  readonly vlan: number
  /** Checksums and segments may be left to the other side, by both kernels. */
  readonly offloads: boolean
}

const CHILD = fileURLToPath(new URL('vlanRelayChild.js', import.meta.url))

export class VlanRelay {
  readonly #child: ChildProcess
  readonly #stderr: () => string

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#stderr = collect(child.stderr)
  }

  static async start(namespace: Namespace, job: RelayJob): Promise<VlanRelay> {
    const argv = [process.execPath, '--enable-source-maps', CHILD, JSON.stringify(job)]
    const child = start(argv, { namespace })
    const relay = new VlanRelay(child)
    const stdout = collect(child.stdout)
    await Promise.race([once(child.stdout!, 'data'), once(child, 'close')])
    assert.equal(stdout(), 'ready\n', `the relay did not start: ${relay.#stderr()}`)
    return relay
  }

  /** The TAPs go with it. */
  async stop(): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGTERM')
    const [code] = await closed
    assert.equal(code, 0, `the relay ended with code ${code}: ${this.#stderr()}`)
  }
}
