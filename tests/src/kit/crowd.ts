/**
 * Thousands of connections held open by one process (crowdChild.ts): each asks once as it comes,
 * waits, asks once more when all are told to, and goes.
 */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

export interface CrowdOptions {
  readonly namespace: Namespace
  readonly url: string
  /** Whose body has `bytes`. */
  readonly path: string
  readonly bytes: number
  readonly count: number
}

const CHILD = fileURLToPath(new URL('crowdChild.js', import.meta.url))
const LIMIT_MS = 120_000
/** Descriptors that the process needs besides its connections. */
const MORE_FILES = 1000

export class Crowd {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #stdout: () => string
  readonly #stderr: () => string

  private constructor(options: CrowdOptions) {
    const { url, path, bytes, count, namespace } = options
    const { hostname, port } = new URL(url)
    const files = count + MORE_FILES
    const limits = ['prlimit', `--nofile=${files}:${files}`, process.execPath, CHILD]
    const args = [hostname, port || '80', path, bytes, count].map(String)
    this.#child = start([...limits, ...args], { namespace, keepsInput: true })
    this.#stdout = collect(this.#child.stdout)
    this.#stderr = collect(this.#child.stderr)
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), LIMIT_MS)
    this.#ended = new Promise(resolve => {
      this.#child.once('close', () => {
        clearTimeout(limit)
        resolve()
      })
    })
  }

  /** All are connected, answered and waiting when it settles. Needs `prlimit` (util-linux). */
  static async gather(options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(options)
    await crowd.#says('held')
    return crowd
  }

  /** All ask once more, on the connections that they have; they leave when all are answered. */
  async askAndLeave(): Promise<void> {
    this.#child.stdin?.end()
    await this.#says('answered')
    await this.#ended
  }

  async #says(word: string): Promise<void> {
    const said = new Promise<void>(resolve => {
      const look = (): void => {
        if (this.#stdout().includes(word)) resolve()
      }
      this.#child.stdout?.on('data', look)
      look()
    })
    await Promise.race([said, this.#ended])
    if (!this.#stdout().includes(word)) throw new Error(`the crowd: ${this.#stderr()}`)
  }
}
