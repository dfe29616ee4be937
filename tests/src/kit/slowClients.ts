/**
 * Clients that ask for a path and take the answer slowly, or not at all, each on a connection of
 * its own, in a process of their own (slowClientsChild.ts), since a process cannot enter a
 * namespace later.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

export interface SlowJob {
  readonly url: string
  readonly path: string
  readonly connections: number
  /** What each takes; 0: it takes the first bytes and then nothing more. */
  readonly bytesPerSecond: number
  /** Each begins so many bytes behind the one before. */
  readonly strideBytes: number
  /** Some get no answer while the others take theirs: it is enough that no more begin. */
  readonly mayWait: boolean
}

const CHILD = fileURLToPath(new URL('slowClientsChild.js', import.meta.url))

export class SlowClients {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = new Promise(resolve => child.once('close', resolve))
  }

  /** All of them, or all that can, have the first bytes of a 206. */
  static async begin(job: SlowJob, namespace?: Namespace): Promise<SlowClients> {
    const argv = [process.execPath, '--enable-source-maps', CHILD, JSON.stringify(job)]
    const child = start(argv, { namespace, keepsInput: true })
    const stdout = collect(child.stdout)
    const stderr = collect(child.stderr)
    await new Promise<void>(resolve => {
      child.stdout?.on('data', () => stdout().includes('ready\n') && resolve())
      child.once('close', () => resolve())
    })
    assert.equal(stdout(), 'ready\n', stderr())
    return new SlowClients(child)
  }

  /** Ends them as they stand. */
  async stop(): Promise<void> {
    this.#child.stdin?.end()
    await this.#ended
  }
}
