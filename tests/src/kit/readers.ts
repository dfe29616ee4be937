/**
 * Clients that ask for the same paths over and over on connections that they keep, in a process of
 * their own (readersChild.ts), and judge every answer: the body is a version (versions.ts), its
 * length and its entity tag are those of the head, and no connection sees a version older than one
 * that it saw before.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

export interface ReadersJob {
  readonly url: string
  /** Asked for in turn. */
  readonly paths: readonly string[]
  readonly connections: number
  /**
   * The file is written over in place: a body may be the beginning of a version and the rest of the
   * last.
   */
  readonly isWrittenOver?: boolean
  /** Between an answer and the next request of a connection. */
  readonly pauseMs?: number
}

export interface ReadersReport {
  readonly answers: number
  readonly statuses: Readonly<Record<string, number>>
  /** Connections that ended although nobody had said so. */
  readonly lost: number
  /** Answers that were not as they should be, a line each, of the first of them. */
  readonly wrong: readonly string[]
  /** How many versions were seen. */
  readonly versions: number
}

const CHILD = fileURLToPath(new URL('readersChild.js', import.meta.url))
const LIMIT_MS = 20_000

export class Readers {
  readonly #child: ChildProcess
  readonly #stdout: () => string
  readonly #stderr: () => string
  readonly #ended: Promise<void>

  constructor(job: ReadersJob, namespace?: Namespace) {
    const argv = [process.execPath, '--enable-source-maps', CHILD, JSON.stringify(job)]
    this.#child = start(argv, { namespace, keepsInput: true })
    this.#stdout = collect(this.#child.stdout)
    this.#stderr = collect(this.#child.stderr)
    this.#ended = new Promise(resolve => this.#child.once('close', () => resolve()))
  }

  /** Settles when the last answers of all connections are of version `n` or a later one. */
  async haveSeen(n: number): Promise<void> {
    const low = (): number => {
      const said = this.#stdout()
      const at = said.lastIndexOf('low ')
      return at < 0 ? 0 : Number.parseInt(said.slice(at + 4), 10)
    }
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(() => reject(new Error(`version ${n} is not served to all`)), LIMIT_MS)
    })
    const seen = new Promise<void>(resolve => {
      const look = (): void => {
        if (!(low() >= n)) return
        this.#child.stdout?.off('data', look)
        resolve()
      }
      this.#child.stdout?.on('data', look)
      look()
    })
    const ended = this.#ended.then(() => assert.fail(`the readers ended: ${this.#stderr()}`))
    try {
      await Promise.race([seen, late, ended])
    } finally {
      clearTimeout(limit)
    }
  }

  /** Ends when every answer under way is there. */
  async stop(): Promise<ReadersReport> {
    this.#child.stdin?.end()
    await this.#ended
    const report = /^report (.*)$/m.exec(this.#stdout())?.[1]
    assert.ok(report, `no report; stderr: ${this.#stderr()}`)
    return JSON.parse(report) as ReadersReport
  }
}
