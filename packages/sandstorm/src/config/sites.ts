/**
 * Sites as a file describes them become sites as the server takes them, once the schema has nothing
 * against them: defaults are filled in, paths made absolute, and looked at is what a schema cannot
 * see: files, and sites beside each other.
 */
import { resolve } from 'node:path'
import { plainSite, type Rule, type Site } from '../site/site.ts'
import { FileProblem, type KeyPath } from './fileProblem.ts'
import { normalHost } from './hosts.ts'
import { originOf } from './origin.ts'
import {
  FOLDER_EXPECTED,
  folderProblem,
  SITE_FILE_EXPECTED,
  siteFileProblem,
  sitePath,
} from './paths.ts'
import type { ConfigFile, FileRule, FileSite } from './shape.ts'

/** Where the file is, and where its problems go. */
export interface SiteContext {
  readonly file: string
  /** Relative paths begin here. */
  readonly folder: string
  readonly problems: FileProblem[]
}

/** The sites of a file; none: it has none. Problems go to the context. */
export function sitesOf(data: ConfigFile, context: SiteContext): Site[] {
  const { root, sites } = data
  const { file, problems } = context
  if (root !== undefined && sites !== undefined)
    problems.push(new FileProblem(file, ['root'], root, 'beside sites', 'one of the two'))
  if (sites === undefined) return root === undefined ? [] : [siteOf({ root }, [], context)]
  problems.push(...hostProblems(file, sites))
  const made = sites.map((site, i) => siteOf(site, ['sites', i], context))
  problems.push(...storeProblems(file, sites, made))
  return made
}

/** Two origins would remove each other's files. */
function storeProblems(file: string, given: readonly FileSite[], made: Site[]): FileProblem[] {
  const folders = made.map(({ origin }) => origin?.folder ?? '')
  return folders.flatMap((folder, i) => {
    const owner = folders.indexOf(folder)
    if (folder === '' || owner === i) return []
    const value = given[i].origin?.folder
    const key = ['sites', i, 'origin', 'folder']
    const why = `sites[${owner}] has it too`
    return [new FileProblem(file, key, value, why, 'a folder of its own')]
  })
}

function siteOf(given: FileSite, key: KeyPath, context: SiteContext): Site {
  const { hosts = [], root, origin, fallback, errorPages = {}, rules = [], ...rest } = given
  const folder = root === undefined ? '' : resolve(context.folder, root)
  const problem = rootProblem(given, folder)
  if (problem !== '') {
    const at = root === undefined ? key : [...key, 'root']
    context.problems.push(new FileProblem(context.file, at, root, problem, FOLDER_EXPECTED))
  }
  const fileAt = (text: string, ...below: string[]): string => {
    const path = sitePath(text)
    const why = problem === '' ? siteFileProblem(folder, path) : '' // without a folder nothing is there
    const at = [...key, ...below]
    if (why !== '')
      context.problems.push(new FileProblem(context.file, at, text, why, SITE_FILE_EXPECTED))
    return path
  }
  const pages = Object.entries(errorPages)
  return {
    ...plainSite(folder),
    ...rest,
    origin: origin === undefined ? undefined : originOf(origin, [...key, 'origin'], context),
    hosts: hosts.map(normalHost),
    fallback: fallback === undefined || fallback === '' ? '' : fileAt(fallback, 'fallback'),
    errorPages: Object.fromEntries(
      pages.map(([status, text]) => [status, fileAt(text, 'errorPages', status)]),
    ),
    rules: rules.map((rule, i) => ruleOf(rule, [...key, 'rules', i], context)),
  }
}

/** Of `folder`, which is the root as an absolute path. */
function rootProblem({ root, origin }: FileSite, folder: string): string {
  if (root === undefined) return origin === undefined ? 'root is missing' : ''
  return folderProblem(root === '' ? '' : folder)
}

/** The shorthands, and the header that each stands for. */
const SHORTHANDS = [
  ['cacheControl', 'Cache-Control'],
  ['cors', 'Access-Control-Allow-Origin'],
] as const

function ruleOf(rule: FileRule, key: KeyPath, { file, problems }: SiteContext): Rule {
  const headers = { ...rule.headers }
  for (const [short, name] of SHORTHANDS) {
    const value = rule[short]
    if (value === undefined) continue
    const other = Object.keys(headers).find(one => one.toLowerCase() === name.toLowerCase())
    if (other !== undefined) {
      const why = `beside headers.${other}`
      problems.push(new FileProblem(file, [...key, short], value, why, 'one of the two'))
    }
    headers[name] = value
  }
  return { match: rule.match, headers }
}

/** A name belongs to one site, and every site but the first needs one. */
function hostProblems(file: string, sites: readonly FileSite[]): FileProblem[] {
  const owners = new Map<string, number>()
  return sites.flatMap(({ hosts = [] }, i) => {
    const problem = (key: KeyPath, value: unknown, why: string, expected: string): FileProblem =>
      new FileProblem(file, ['sites', i, ...key], value, why, expected)
    if (hosts.length === 0 && i > 0) {
      const expected = 'names: only the first site answers for all others'
      return [problem([], undefined, 'hosts is missing', expected)]
    }
    return hosts.flatMap((host, j) => {
      const name = normalHost(host)
      const owner = owners.get(name)
      owners.set(name, owner ?? i)
      if (owner === undefined) return []
      const why = owner === i ? 'given twice' : `sites[${owner}] has it too`
      return [problem(['hosts', j], host, why, 'each name once')]
    })
  })
}
