/** A served folder with files that the server leaves on disk, and what its clients do with them. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { collect, start } from './command.ts'
import { type Answer, type Request, request } from './httpClient.ts'
import { LiveFolder } from './liveFolder.ts'
import type { Mount } from './mounts.ts'
import { SlowClients } from './slowClients.ts'
import { hashOf, makeSparse } from './sparseFile.ts'

const LIMIT_MS = 30_000
const STEP_MS = 10

/** A download that goes on. */
export interface Download {
  /** Settles when some of its body has come. */
  hasBegun(): Promise<void>
  /** Settles when it is over: curl's exit code, and the body as far as it came. */
  end(): Promise<{ code: number; body: Buffer }>
}

export class PagedFolder {
  readonly live: LiveFolder
  #downloads = 0

  private constructor(live: LiveFolder) {
    this.live = live
  }

  /** Serves these files, those of a number as sparse files of so many bytes. */
  static async serve(
    mount: Mount,
    files: Readonly<Record<string, number | string | Buffer>>,
    flags: readonly string[] = [],
  ): Promise<PagedFolder> {
    const plain: Record<string, string | Buffer> = { 'readme.txt': 'a file in memory' }
    for (const [name, of] of Object.entries(files)) if (typeof of !== 'number') plain[name] = of
    const live = await LiveFolder.serve(mount, plain, flags, folder => {
      for (const [name, of] of Object.entries(files)) {
        if (typeof of === 'number') makeSparse(join(folder, 'site', name), of)
      }
    })
    return new PagedFolder(live)
  }

  /** Answers to requests, in their order; default: many at a time. */
  async ask(requests: readonly Request[], maxSockets = 64): Promise<readonly Answer[]> {
    const { url, namespace } = this.live.mounted
    return (await request(url, requests, { namespace, maxSockets })).answers
  }

  /** The whole file, as it comes, has the bytes that are on disk. */
  async isWhole(name: string): Promise<void> {
    const [{ status, error, sha256, bytes }] = await this.ask([{ path: `/${name}` }])
    const { size } = statSync(this.live.path(name))
    assert.deepEqual([status, error, bytes], [200, '', size])
    assert.equal(sha256, hashOf(this.live.path(name), 0, size))
  }

  /** The most memory that the process has had. */
  peakBytes(): number {
    const status = readFileSync(`/proc/${this.live.mounted.server.pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  /**
   * Clients of a file, each of other bytes of it; with `mayWait` it is enough that no more begin.
   */
  slowClients(
    name: string,
    connections: number,
    bytesPerSecond: number,
    mayWait = false,
  ): Promise<SlowClients> {
    const { url, namespace } = this.live.mounted
    const { size } = statSync(this.live.path(name))
    // The last one has something left to take.
    const strideBytes = Math.floor(size / (connections * 1.5))
    const job = { url, path: `/${name}`, connections, bytesPerSecond, strideBytes, mayWait }
    return SlowClients.begin(job, namespace)
  }

  /** Begins to fetch a file with curl, at so many bytes a second. */
  download(name: string, bytesPerSecond: number): Download {
    const { mounted, folder } = this.live
    const file = join(folder.path, `got${this.#downloads++}`)
    const argv = ['curl', '-s', '--limit-rate', `${bytesPerSecond}`, '-o', file]
    const child = start([...argv, `${mounted.url}/${name}`], { namespace: mounted.namespace })
    const stderr = collect(child.stderr)
    const ended = new Promise<number>(resolve => child.once('close', code => resolve(code ?? -1)))
    const end = async (): Promise<{ code: number; body: Buffer }> => {
      const code = await ended
      return { code, body: existsSync(file) ? readFileSync(file) : Buffer.alloc(0) }
    }
    const hasBegun = async (): Promise<void> => {
      for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
        if (existsSync(file) && statSync(file).size > 0) return
      }
      assert.fail(`no byte of ${name} has come; ${stderr()}`)
    }
    return { hasBegun, end }
  }

  remove(): Promise<void> {
    return this.live.remove()
  }
}
