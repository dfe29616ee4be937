/**
 * Finds what a site's folder offers: every file with the paths it answers to and the siblings that
 * are the same file in another coding, folders to be listed, and the directories that send clients
 * to their slash form. Nothing is read here but directories, sizes and times.
 *
 * Invariant: whatever is found really lies inside the root. Directories are walked by their real
 * path, and a symbolic link counts only if its real target is inside too; hidden names are left out
 * (RFC 8615's /.well-known/ is the exception), so path mapping can only ever reach what is meant.
 */
import type { Dirent, Stats } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { CODING_SUFFIXES } from '../site/codings.ts'
import type { CodingName, Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import {
  type ContentFs,
  codeOf,
  isGone,
  PARALLEL_CALLS,
  refuseWithoutDescriptors,
  statusOf,
} from './fileSystem.ts'
import type { FoundFile, FoundFolder, FoundTree } from './found.ts'
import { forEachBounded } from './parallel.ts'
import { type FileState, stateOf } from './read.ts'

export interface ScanOptions {
  readonly fs: ContentFs
  readonly site: Site
  /** Told once per thing that is left out or unreadable; a single line. */
  readonly onWarning: (line: string) => void
}

/** The only hidden name that is served, and only at the top (RFC 8615). */
export const WELL_KNOWN = '.well-known'
/** More files than this are a maze of links rather than a site. */
const FILES_MAX = 4_000_000
const NOTHING: FileState = { size: 0, mtimeMs: 0, ctimeMs: 0, ino: 0 }

/** Walks the folder; throws one clear line if the root itself cannot be walked. */
export async function scanTree(options: ScanOptions): Promise<FoundTree> {
  const scan = new TreeScan(await realRoot(options.site.root, options.fs), options)
  await scan.walk()
  return scan.tree
}

/** The real path of a site's folder; throws one clear line if it is none. */
export async function realRoot(root: string, fs: ContentFs): Promise<string> {
  try {
    const real = await fs.realpath(root)
    if (fs.stat(real).isDirectory()) return real
  } catch (error) {
    throw unservable(root, codeOf(error))
  }
  throw new StartError(`cannot serve ${root}: it is not a folder; name the folder that holds it`)
}

function unservable(root: string, code: string): StartError {
  const why = code === 'ENOENT' ? 'there is no such folder' : code
  return new StartError(`cannot serve ${root}: ${why}; name a folder that can be read`)
}

/** A warning about a path, on one line whatever the name holds. */
export function warning(path: string, what: string): string {
  return `${path.replace(/\p{Cc}/gu, '?')}: ${what}`
}

class TreeScan {
  readonly tree: FoundTree
  readonly #root: string
  readonly #options: ScanOptions
  #fileCount = 0

  constructor(root: string, options: ScanOptions) {
    this.#root = root
    this.tree = { root, files: [], redirects: [], listings: [], dirs: [] }
    this.#options = options
  }

  async walk(): Promise<void> {
    await this.#directory(this.#root, '/', '', [])
    await forEachBounded(this.tree.files, PARALLEL_CALLS, file => this.#measure(file))
  }

  /**
   * `dir` is a real path; `above` are the real directories that led here, so a loop shows. False if
   * it cannot be listed.
   */
  async #directory(dir: string, path: string, name: string, above: string[]): Promise<boolean> {
    this.tree.dirs.push(dir)
    let entries: Dirent[]
    try {
      entries = await this.#options.fs.readdir(dir)
    } catch (error) {
      const code = codeOf(error)
      refuseWithoutDescriptors(code)
      if (dir === this.#root) throw unservable(this.#options.site.root, code)
      if (!isGone(error)) this.#warn(path, `cannot be listed (${code}); nothing in it is served`)
      return false
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    const here: Here = { files: new Map(), folders: [] }
    for (const entry of entries) await this.#entry(entry, dir, path, [...above, dir], here)

    const { site } = this.#options
    if (site.precompressed) joinSiblings(here.files)
    for (const found of here.files.values()) this.tree.files.push(found)
    const index = site.index.find(indexName => here.files.has(indexName))
    if (site.cleanUrls) addCleanPaths(path, here.files, index, new Set(entries.map(e => e.name)))
    if (index !== undefined) here.files.get(index)!.paths.push(path)
    else if (site.listing === 'off') return true
    else this.tree.listings.push({ path, files: [...here.files.values()], folders: here.folders })
    if (path !== '/') this.tree.redirects.push({ path: path.slice(0, -1), name })
    return true
  }

  async #folder(
    dir: string,
    path: string,
    name: string,
    above: string[],
    here: Here,
  ): Promise<void> {
    const isListed = await this.#directory(dir, `${path + name}/`, name, above)
    if (!isListed || this.#options.site.listing === 'off' || name.startsWith('.')) return
    const mtimeMs = this.#timeOf(dir)
    here.folders.push({ name, mtimeMs })
  }

  async #entry(
    entry: Dirent,
    dir: string,
    path: string,
    above: string[],
    here: Here,
  ): Promise<void> {
    const { name } = entry
    if (name.startsWith('.') && !(path === '/' && name === WELL_KNOWN)) return
    if (/[\\\ufffd]/.test(name)) {
      this.#warn(path + name, 'no request can name it (not UTF-8, or a backslash); left out')
      return
    }
    const real = join(dir, name)
    if (entry.isDirectory()) await this.#folder(real, path, name, above, here)
    else if (entry.isFile()) this.#file(real, path, name, here)
    else if (entry.isSymbolicLink()) await this.#link(real, path, name, above, here)
    else this.#warn(path + name, 'neither a file nor a folder; left out')
  }

  #file(file: string, path: string, name: string, here: Here): void {
    if (++this.#fileCount > FILES_MAX) {
      throw new StartError(`cannot serve ${this.#root}: more than ${FILES_MAX} files`)
    }
    const paths = [path + name]
    const [state, siblings, codings] = [NOTHING, [], []]
    const isSibling = false
    here.files.set(name, { file, name, paths, state, siblings, isSibling, codings, status: 200 })
  }

  async #link(
    link: string,
    path: string,
    name: string,
    above: string[],
    here: Here,
  ): Promise<void> {
    const target = await this.#resolve(link, path + name)
    if (target === undefined) return
    const { real, stat } = target
    if (stat.isFile()) {
      // It may be hidden, and not be walked; but what it holds is served.
      this.tree.dirs.push(dirname(real))
      this.#file(real, path, name, here)
    } else if (!stat.isDirectory()) this.#warn(path + name, 'neither a file nor a folder; left out')
    else if (above.includes(real)) this.#warn(path + name, 'a link to a folder above; left out')
    else await this.#folder(real, path, name, above, here)
  }

  /** Where a symbolic link leads, if that is inside the root. */
  async #resolve(link: string, path: string): Promise<{ real: string; stat: Stats } | undefined> {
    try {
      const real = await this.#options.fs.realpath(link)
      if (isInside(this.#root, real)) return { real, stat: this.#options.fs.stat(real) }
      this.#warn(path, 'a symbolic link that leaves the folder; left out')
    } catch (error) {
      this.#warn(path, `a symbolic link that leads nowhere (${codeOf(error)}); left out`)
    }
    return undefined
  }

  /** Of a folder; 0 if it is not known. */
  #timeOf(dir: string): number {
    try {
      return this.#options.fs.stat(dir).mtimeMs
    } catch {
      return 0
    }
  }

  #measure(found: FoundFile): void {
    const { fs } = this.#options
    try {
      found.state = stateOf(fs.stat(found.file))
    } catch (error) {
      found.status = statusOf(error)
      const why = `cannot be read (${codeOf(error)})`
      if (!isGone(error)) this.#warn(found.paths[0], `${why}; answered ${found.status}`)
    }
    for (const { coding, file } of found.siblings) {
      try {
        found.codings.push({ coding, source: { file }, state: stateOf(fs.stat(file)) })
      } catch (error) {
        if (isGone(error)) continue
        const why = `cannot be read (${codeOf(error)})`
        this.#warn(found.paths[0], `its ${coding} sibling ${why}; not offered in it`)
      }
    }
  }

  #warn(path: string, what: string): void {
    this.#options.onWarning(warning(path, what))
  }
}

/** The files and folders of one directory. */
interface Here {
  readonly files: Map<string, FoundFile>
  readonly folders: FoundFolder[]
}

/** Gives the files that are another one in a coding to that. */
function joinSiblings(files: ReadonlyMap<string, FoundFile>): void {
  const suffixes = Object.entries(CODING_SUFFIXES) as [CodingName, string][]
  // In order of names, so that of a, a.gz and a.gz.br the last is none: what it codes is one.
  for (const [name, found] of files) {
    const [coding, suffix] = suffixes.find(([, end]) => name.endsWith(end)) ?? []
    if (coding === undefined || suffix === undefined) continue
    const of = files.get(name.slice(0, -suffix.length))
    if (of === undefined || of.isSibling) continue
    of.siblings.push({ coding, file: found.file })
    found.isSibling = true
  }
}

/** Lets about.html answer for "about", if nothing there has this name. */
function addCleanPaths(
  path: string,
  files: ReadonlyMap<string, FoundFile>,
  index: string | undefined,
  taken: ReadonlySet<string>,
): void {
  for (const [name, { paths }] of files) {
    const clean = name.replace(/\.html$/, '')
    if (clean !== name && name !== index && !taken.has(clean)) paths.push(path + clean)
  }
}

function isInside(root: string, target: string): boolean {
  return target === root || target.startsWith(root.endsWith(sep) ? root : root + sep)
}
