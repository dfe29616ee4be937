/**
 * What is to be known of a site before memory is laid out: what its folder holds, in which codings,
 * and the files that its settings name (error pages, fallback).
 */
import { codingProblem } from '../site/codings.ts'
import { headerProblem } from '../site/ruleHeaders.ts'
import { type CompiledRule, compileRules, fieldsOf } from '../site/rules.ts'
import type { Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { compressFiles } from './compress.ts'
import type { Draft } from './draft.ts'
import type { ContentFs } from './fileSystem.ts'
import type { FoundFile, FoundTree } from './found.ts'
import { STATUSES } from './head.ts'
import { HEAD_LEN_MAX } from './image.ts'
import { contentType } from './mediaType.ts'
import { type PlacedFile, type PlacedPage, placeFile, placePages, type SiteHeads } from './place.ts'
import { readWhole } from './read.ts'
import {
  allowedOrigin,
  type ErrorPage,
  type StatusAnswer,
  type StatusSite,
  statusAnswer,
} from './statuses.ts'

/** A site, and all that it will answer with, as soon as its files are read. */
export interface OpenSite {
  readonly site: Site
  readonly tree: FoundTree
  readonly heads: SiteHeads
  /** In the order of STATUSES. */
  readonly statuses: readonly StatusAnswer[]
  /** One for each of the tree's files that can be read. */
  readonly files: ReadonlyMap<FoundFile, PlacedFile>
  readonly pages: readonly PlacedPage[]
  /** The path that answers for those that name nothing; '': none. */
  readonly fallback: string
}

/**
 * Throws one clear line if a file that the site names is not there. `tree` is what its folder
 * holds; `draft` has what is stored already, and is told what was compressed in vain; an early one
 * does not wait for that.
 */
export async function openSite(
  site: Site,
  index: number,
  tree: FoundTree,
  fs: ContentFs,
  draft: Draft,
  onWarning: (line: string) => void,
): Promise<OpenSite> {
  const { serverName, compress, listing } = site
  checkSettings(site)
  const nowSec = Math.floor(Date.now() / 1000)
  const rules = siteRules(site)
  const pages = await errorPages(site, tree, rules, fs)
  const statuses = statusAnswers(site, { serverName, allowOrigin: allowedOrigin(rules), pages })
  if (!draft.isEarly) await compressFiles(tree.files, index, compress, fs, draft)
  const heads = { site: index, settings: site, serverName, rules, nowSec, onWarning }
  const readable = tree.files.filter(({ status }) => status === 200)
  return {
    site,
    tree,
    heads,
    statuses,
    files: new Map(readable.map(found => [found, placeFile(found, heads, draft)])),
    pages: placePages(tree, listing, heads),
    fallback: fallbackOf(site, tree),
  }
}

function fallbackOf(site: Site, tree: FoundTree): string {
  if (site.fallback === '') return ''
  const path = rooted(site.fallback)
  if (fileAt(tree, path) === undefined) throw missing(site, 'fallback', path)
  return path
}

/** Date and Connection, which are patched, follow it in frame 0 (image.ts: HEAD_ROOM). */
const SERVER_NAME_MAX = 256

/** Whoever reads a configuration says it better; this is for who calls us without one. */
function checkSettings({ root, serverName, compress }: Site): void {
  const problems = [headerProblem('Server', serverName), ...compress.map(codingProblem)]
  const problem = problems.find(found => found !== '')
  if (problem !== undefined) throw new StartError(`cannot serve ${root}: ${problem}`)
  if (serverName.length <= SERVER_NAME_MAX) return
  const why = `the name of the server has ${serverName.length} characters`
  throw new StartError(`cannot serve ${root}: ${why}, the limit is ${SERVER_NAME_MAX}`)
}

function statusAnswers({ root }: Site, of: StatusSite): StatusAnswer[] {
  return STATUSES.map(status => {
    const answer = statusAnswer(status, of)
    const { length } = answer.head.text
    if (length <= HEAD_LEN_MAX) return answer
    throw new StartError(
      `cannot serve ${root}: the head of its answer ${status} has ${length} bytes, ` +
        `the limit is ${HEAD_LEN_MAX}; shorten its Server name or Access-Control-Allow-Origin`,
    )
  })
}

/** The files that `errorPages` names, read at once, since each becomes the body of an image. */
async function errorPages(
  site: Site,
  tree: FoundTree,
  rules: readonly CompiledRule[],
  fs: ContentFs,
): Promise<Map<number, ErrorPage>> {
  const pages = new Map<number, ErrorPage>()
  for (const [key, value] of Object.entries(site.errorPages)) {
    const name = `errorPages.${key}`
    const status = Number(key)
    if (status < 400 || !STATUSES.includes(status)) {
      throw new StartError(`cannot serve ${site.root}: ${name}: no answer has this status`)
    }
    const path = rooted(value)
    const found = fileAt(tree, path)
    if (found === undefined) throw missing(site, name, path)
    const read = await readWhole(found.file, found.state, fs)
    if (read.kind === 'failed') {
      throw new StartError(`cannot serve ${site.root}: ${name}: ${path}: ${read.code}`)
    }
    const type = fieldsOf(rules, found.paths).get('content-type')?.value
    pages.set(status, { type: type ?? contentType(found.name), body: read.bytes })
  }
  return pages
}

const fileAt = (tree: FoundTree, path: string): FoundFile | undefined =>
  tree.files.find(({ paths }) => paths.includes(path))

const rooted = (path: string): string => (path.startsWith('/') ? path : `/${path}`)

function missing({ root }: Site, key: string, path: string): StartError {
  return new StartError(`cannot serve ${root}: ${key}: there is no file ${path} in it`)
}

function siteRules({ root, rules }: Site): CompiledRule[] {
  try {
    return compileRules(rules)
  } catch (error) {
    throw new StartError(`cannot serve ${root}: ${(error as Error).message}`)
  }
}
