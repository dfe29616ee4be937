/** A served folder that a test changes, its readers, and what the server says of its content. */
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchTree } from './fetchTree.ts'
import { type Mount, Mounted } from './mounts.ts'
import { Readers, type ReadersJob } from './readers.ts'
import type { ServerOptions } from './server.ts'
import { type TemporaryFolder, temporaryFolder } from './temporary.ts'
import type { TreeFile } from './tree.ts'

/** In the namespace of the server. */
const ADMIN = '127.0.0.1:9077'
const LIMIT_MS = 20_000
const STEP_MS = 20
/** Longer than from one look at a folder to the next. */
const QUIET_MS = 1000

export interface ContentMetrics {
  readonly images: number
  readonly retired: number
  readonly freeBytes: number
  readonly generation: number
  readonly failedReloads: number
  /** Of the process. */
  readonly residentBytes: number
}

export class LiveFolder {
  /** What stands beside the folder: a test may put things there. */
  readonly folder: TemporaryFolder
  readonly mounted: Mounted

  private constructor(folder: TemporaryFolder, mounted: Mounted) {
    this.folder = folder
    this.mounted = mounted
  }

  /** Serves these files, as FOLDER/site; `prepare` is called before, with FOLDER. */
  static async serve(
    mount: Mount,
    files: Readonly<Record<string, string | Buffer>>,
    flags: readonly string[] = [],
    prepare: (folder: string) => void = () => {},
    options: Pick<ServerOptions, 'prefix'> = {},
  ): Promise<LiveFolder> {
    const folder = temporaryFolder('live')
    for (const [name, bytes] of Object.entries(files)) put(join(folder.path, 'site', name), bytes)
    prepare(folder.path)
    const args = ['--admin', ADMIN, ...flags]
    const mounted = await Mounted.serve(mount, join(folder.path, 'site'), args, options)
    return new LiveFolder(folder, mounted)
  }

  /** Serves what the configuration FOLDER/sandstorm.toml says, which `prepare` makes. */
  static async serveConfig(mount: Mount, prepare: (folder: string) => string): Promise<LiveFolder> {
    const folder = temporaryFolder('live')
    const file = join(folder.path, 'sandstorm.toml')
    writeFileSync(file, prepare(folder.path))
    const args = ['--admin', ADMIN, '--config', file]
    return new LiveFolder(folder, await Mounted.serve(mount, undefined, args))
  }

  path(name: string): string {
    return join(this.folder.path, 'site', name)
  }

  write(name: string, bytes: string | Buffer): void {
    put(this.path(name), bytes)
  }

  /** Puts the new file in the place of the old at once. */
  replace(name: string, bytes: string | Buffer): void {
    const next = join(this.folder.path, 'next')
    writeFileSync(next, bytes)
    renameSync(next, this.path(name))
  }

  readers(job: Omit<ReadersJob, 'url'>): Readers {
    const { url, namespace } = this.mounted
    return new Readers({ url, ...job }, namespace)
  }

  /** The body of a path, or `STATUS` if that is not 200. */
  async body(path: string): Promise<string> {
    const say = '\n%{http_code}'
    const out = await this.mounted.succeed(['curl', '-s', '-w', say, this.mounted.url + path])
    const end = out.lastIndexOf('\n')
    const status = out.slice(end + 1)
    return status === '200' ? out.slice(0, end) : status
  }

  /** Waits until paths have these bodies, or statuses. */
  async serves(expected: Readonly<Record<string, string>>): Promise<void> {
    const names = Object.keys(expected)
    let now: Record<string, string> = {}
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
      now = {}
      for (const path of names) now[path] = await this.body(path)
      if (names.every(path => now[path] === expected[path])) return
    }
    assert.deepEqual(now, expected)
  }

  /**
   * Waits until all of these are served. One look at the folders may find the file that was written
   * last and not all of those before it, since it lists one folder after the other: the next finds
   * all.
   */
  async servesTree(files: readonly TreeFile[]): Promise<void> {
    const { url, namespace } = this.mounted
    let wrong: readonly string[] = []
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
      wrong = (await fetchTree(url, files, { namespace })).wrong
      if (wrong.length === 0) return
    }
    assert.deepEqual(wrong, [])
  }

  /** What a metric is by its name. */
  async #metricsPage(): Promise<(name: string) => number> {
    const page = await this.mounted.succeed(['curl', '-sf', `http://${ADMIN}/metrics`])
    return name => {
      const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1]
      assert.ok(found !== undefined, `${name} is told`)
      return Number(found)
    }
  }

  /** Waits until so many parts that were asked for were in memory already. */
  async hasPaged(hits: number): Promise<void> {
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
      const value = await this.#metricsPage()
      if (value('sandstorm_paging_hits_total') >= hits) return
    }
    assert.fail('nobody asks for files on disk')
  }

  async metrics(): Promise<ContentMetrics> {
    const value = await this.#metricsPage()
    return {
      images: value('sandstorm_content_images'),
      retired: value('sandstorm_content_retired_images'),
      freeBytes: value('sandstorm_content_free_bytes'),
      generation: value('sandstorm_content_generation'),
      failedReloads: value('sandstorm_content_failed_reloads_total'),
      residentBytes: value('process_resident_memory_bytes'),
    }
  }

  /** Waits until nothing is looked at again by itself. */
  async settles(): Promise<void> {
    let last = -1
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(QUIET_MS)) {
      const { generation } = await this.metrics()
      if (generation === last) return
      last = generation
    }
    assert.fail('the folders are looked at for ever')
  }

  /** Waits until a reload has failed. */
  async hasFailed(): Promise<void> {
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
      if ((await this.metrics()).failedReloads > 0) return
    }
    assert.fail('no reload fails')
  }

  /** Waits until there is nothing left of earlier content. */
  async allFreed(): Promise<ContentMetrics> {
    let metrics = await this.metrics()
    for (const endMs = Date.now() + LIMIT_MS; Date.now() < endMs; await sleep(STEP_MS)) {
      if (metrics.retired === 0) return metrics
      metrics = await this.metrics()
    }
    assert.fail(`${metrics.retired} images are not freed`)
  }

  async remove(): Promise<void> {
    await this.mounted.remove()
    this.folder.remove()
  }
}

/** Writes a file, and makes the folders above it. */
export function put(path: string, bytes: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
