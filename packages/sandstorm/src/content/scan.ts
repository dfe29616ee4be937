/**
 * Finds what a folder offers: every file with the paths it answers to, and the directories that send
 * clients to their slash form. Nothing is read here but directories and file sizes.
 *
 * Invariant: whatever is found really lies inside the root. Directories are walked by their real
 * path, and a symbolic link counts only if its real target is inside too; hidden names are left out
 * (RFC 8615's /.well-known/ is the exception), so path mapping can only ever reach what is meant.
 */
import type { Dirent, Stats } from 'node:fs'
import { join, sep } from 'node:path'
import { StartError } from '../startError.ts'
import { type ContentFs, codeOf, PARALLEL_CALLS, statusOf } from './fileSystem.ts'
import { forEachBounded } from './parallel.ts'

export interface ScanOptions {
  readonly fs: ContentFs
  /** Names that answer for their directory, best first. */
  readonly indexNames: readonly string[]
  /** Told once per thing that is left out or unreadable; a single line. */
  readonly onWarning: (line: string) => void
}

export interface FoundFile {
  /** Real path on disk. */
  readonly file: string
  readonly name: string
  /** Canonical request paths: its own, and "/dir/" for an index file. */
  readonly paths: string[]
  size: number
  /** 200, or the status it is answered with because it cannot be read. */
  status: number
}

export interface FoundRedirect {
  /** "/a/dir", which is answered with a redirect to "/a/dir/". */
  readonly path: string
  readonly name: string
}

export interface FoundTree {
  readonly files: FoundFile[]
  readonly redirects: FoundRedirect[]
}

/** The only hidden name that is served, and only at the top (RFC 8615). */
export const WELL_KNOWN = '.well-known'
/** More files than this are a maze of links rather than a site. */
const FILES_MAX = 4_000_000

/** Walks the folder; throws one clear line if the root itself cannot be walked. */
export async function scanTree(root: string, options: ScanOptions): Promise<FoundTree> {
  const scan = new TreeScan(await realRoot(root, options.fs), options)
  await scan.walk()
  return scan.tree
}

async function realRoot(root: string, fs: ContentFs): Promise<string> {
  try {
    const real = await fs.realpath(root)
    if ((await fs.stat(real)).isDirectory()) return real
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? 'there is no such folder' : codeOf(error)
    throw new StartError(`cannot serve ${root}: ${why}; name a folder that can be read`)
  }
  throw new StartError(`cannot serve ${root}: it is not a folder; name the folder that holds it`)
}

/** A warning about a path, on one line whatever the name holds. */
export function warning(path: string, what: string): string {
  return `${path.replace(/\p{Cc}/gu, '?')}: ${what}`
}

class TreeScan {
  readonly tree: FoundTree = { files: [], redirects: [] }
  readonly #root: string
  readonly #options: ScanOptions

  constructor(root: string, options: ScanOptions) {
    this.#root = root
    this.#options = options
  }

  async walk(): Promise<void> {
    await this.#directory(this.#root, '/', '', [])
    await forEachBounded(this.tree.files, PARALLEL_CALLS, file => this.#measure(file))
  }

  /** `dir` is a real path; `above` are the real directories that led here, so a loop shows. */
  async #directory(dir: string, path: string, name: string, above: string[]): Promise<void> {
    let entries: Dirent[]
    try {
      entries = await this.#options.fs.readdir(dir)
    } catch (error) {
      this.#warn(path, `cannot be listed (${codeOf(error)}); nothing in it is served`)
      return
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    const here = new Map<string, FoundFile>()
    for (const entry of entries) await this.#entry(entry, dir, path, [...above, dir], here)

    const index = this.#options.indexNames.find(indexName => here.has(indexName))
    if (index === undefined) return
    here.get(index)!.paths.push(path)
    if (path !== '/') this.tree.redirects.push({ path: path.slice(0, -1), name })
  }

  async #entry(
    entry: Dirent,
    dir: string,
    path: string,
    above: string[],
    here: Map<string, FoundFile>,
  ): Promise<void> {
    const { name } = entry
    if (name.startsWith('.') && !(path === '/' && name === WELL_KNOWN)) return
    if (/[\\\ufffd]/.test(name)) {
      this.#warn(path + name, 'no request can name it (not UTF-8, or a backslash); left out')
      return
    }
    const real = join(dir, name)
    if (entry.isDirectory()) await this.#directory(real, `${path + name}/`, name, above)
    else if (entry.isFile()) this.#file(real, path, name, here)
    else if (entry.isSymbolicLink()) await this.#link(real, path, name, above, here)
    else this.#warn(path + name, 'neither a file nor a folder; left out')
  }

  #file(file: string, path: string, name: string, here: Map<string, FoundFile>): void {
    if (this.tree.files.length === FILES_MAX) {
      throw new StartError(`cannot serve ${this.#root}: more than ${FILES_MAX} files`)
    }
    const found = { file, name, paths: [path + name], size: 0, status: 200 }
    this.tree.files.push(found)
    here.set(name, found)
  }

  async #link(
    link: string,
    path: string,
    name: string,
    above: string[],
    here: Map<string, FoundFile>,
  ): Promise<void> {
    const target = await this.#resolve(link, path + name)
    if (target === undefined) return
    const { real, stat } = target
    if (stat.isFile()) this.#file(real, path, name, here)
    else if (!stat.isDirectory()) this.#warn(path + name, 'neither a file nor a folder; left out')
    else if (above.includes(real)) this.#warn(path + name, 'a link to a folder above; left out')
    else await this.#directory(real, `${path + name}/`, name, above)
  }

  /** Where a symbolic link leads, if that is inside the root. */
  async #resolve(link: string, path: string): Promise<{ real: string; stat: Stats } | undefined> {
    try {
      const real = await this.#options.fs.realpath(link)
      if (isInside(this.#root, real)) return { real, stat: await this.#options.fs.stat(real) }
      this.#warn(path, 'a symbolic link that leaves the folder; left out')
    } catch (error) {
      this.#warn(path, `a symbolic link that leads nowhere (${codeOf(error)}); left out`)
    }
    return undefined
  }

  async #measure(found: FoundFile): Promise<void> {
    try {
      found.size = (await this.#options.fs.stat(found.file)).size
    } catch (error) {
      found.status = statusOf(error)
      this.#warn(found.paths[0], `cannot be read (${codeOf(error)}); answered ${found.status}`)
    }
  }

  #warn(path: string, what: string): void {
    this.#options.onWarning(warning(path, what))
  }
}

function isInside(root: string, target: string): boolean {
  return target === root || target.startsWith(root.endsWith(sep) ? root : root + sep)
}
