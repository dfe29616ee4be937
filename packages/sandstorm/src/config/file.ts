/**
 * A configuration file: read, checked, and turned into what the command line would have said. All
 * problems of a file are found at once, each a line; see docs/config.md for what may be in it.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { UserError } from '../cli/errors.ts'
import { findProblems, type ServeFlags } from '../config.ts'
import type { Site } from '../site/site.ts'
import { FileProblem, shorten } from './fileProblem.ts'
import { flagsOf, inFile } from './flags.ts'
import { problemsOfIssues, protoProblems } from './issues.ts'
import { knownKeys } from './jsonSchema.ts'
import { HEAD_AROUND_TARGET_BYTES, limitsOf } from './limits.ts'
import { newProblems, restOf } from './rest.ts'
import { fileSchema } from './schema.ts'
import type { ConfigFile } from './shape.ts'
import { sitesOf } from './sites.ts'
import { parseText } from './syntax.ts'

export interface ReadFile {
  /** The name as it was given. */
  readonly file: string
  /** The data as it is in the file. */
  readonly data: ConfigFile
  /** The same as flags; without sites where the file has none. */
  readonly flags: ServeFlags
  /** Of its text, shape and sites. */
  readonly problems: readonly FileProblem[]
}

const BYTES_MAX = 1 << 20

/** Reads a file and checks everything in it that does not depend on the command line. */
export async function readConfigFile(file: string): Promise<ReadFile> {
  try {
    const data = await parseText(file, readText(file))
    return await checkData(file, data)
  } catch (error) {
    if (!(error instanceof FileProblem)) throw error
    return { file, data: {}, flags: {}, problems: [error] }
  }
}

function readText(file: string): string {
  const refuse = (why: string, expected = 'a file in JSON or TOML'): FileProblem =>
    new FileProblem(file === '' ? '""' : file, [], undefined, why, expected)
  let bytes: Uint8Array
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw refuse(code === 'ENOENT' ? 'not there' : `cannot be read (${code})`)
  }
  if (bytes.length > BYTES_MAX) throw refuse('too large', 'a megabyte at most')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes) // which drops a BOM
  } catch {
    throw refuse('not UTF-8')
  }
}

/**
 * Checks data of any shape. `file`: where relative paths begin, and what problems are named after.
 */
export async function checkData(file: string, data: unknown): Promise<ReadFile> {
  const z = await import('zod')
  const schema = fileSchema(z)
  const issues = schema.safeParse(data).error?.issues ?? []
  const wrong = [
    ...protoProblems(file, data),
    ...(issues.length === 0 ? [] : problemsOfIssues(file, data, issues, knownKeys(z, schema))),
  ]
  const found: FileProblem[] = []
  const folder = dirname(resolve(file))
  if (wrong.length > 0) {
    const rest = schema.safeParse(restOf(data, wrong))
    if (rest.success) sitesOf(rest.data as ConfigFile, { file, folder, problems: found })
    return { file, data: {}, flags: {}, problems: [...wrong, ...newProblems(found, wrong)] }
  }
  const typed = data as ConfigFile
  const sites = sitesOf(typed, { file, folder, problems: found })
  const flags: ServeFlags = {
    ...flagsOf(typed, folder),
    ...(typed.limits === undefined ? {} : { limits: limitsOf(typed.limits) }),
    ...(sites.length === 0 ? {} : { sites }),
  }
  return { file, data: typed, flags, problems: [...found, ...headProblems(file, typed)] }
}

/** All problems of a file by itself, without a command line that might overrule it. */
export function problemsOf({ file, data, flags, problems }: ReadFile): UserError[] {
  const sites: readonly Site[] = flags.sites ?? [] // or DIR's
  return [...problems, ...findProblems({ ...flags, sites }).map(one => inFile(one, file, data))]
}

function headProblems(file: string, { limits = {} }: ConfigFile): FileProblem[] {
  const { headBytes, targetBytes } = limitsOf(limits)
  const least = targetBytes + HEAD_AROUND_TARGET_BYTES
  if (headBytes >= least) return []
  const key = limits['headBytes'] === undefined ? 'targetBytes' : 'headBytes'
  const why = `a head of ${headBytes} bytes has no room for a target of ${targetBytes}`
  const expected = `a headBytes of ${shorten(least)} at least`
  return [new FileProblem(file, ['limits', key], limits[key], why, expected)]
}
