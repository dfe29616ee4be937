/** zod's issues in our words: which key, why, and what was expected or meant. */
import type * as Zod from 'zod'
import { FileProblem, type KeyPath, valueAt } from './fileProblem.ts'
import { suggest } from './suggest.ts'

type Issue = Zod.core.$ZodIssue

/**
 * The names of the keys of each kind of table, so that a wrong one can be told where it belongs.
 */
export interface KnownKeys {
  readonly file: readonly string[]
  readonly site: readonly string[]
  readonly origin: readonly string[]
  readonly rule: readonly string[]
  readonly accessLog: readonly string[]
  readonly limits: readonly string[]
}

export function problemsOfIssues(
  file: string,
  data: unknown,
  issues: readonly Issue[],
  known: KnownKeys,
): FileProblem[] {
  return issues.flatMap(issue => {
    const path = issue.path as KeyPath
    if (issue.code === 'unrecognized_keys')
      return issue.keys.filter(isPlain).map(key => unknownKey(file, path, key, known))
    const value = valueAt(data, path)
    if (value === undefined) return missingKey(file, path, issue.message)
    const inner = issue.code === 'invalid_key' ? issue.issues[0].message : issue.message
    return new FileProblem(file, path, value, reasonOf(issue, value), inner)
  })
}

/** The table that lacks a key is what the error names: the key is not there. */
function missingKey(file: string, path: KeyPath, expected: string): FileProblem {
  const table = path.slice(0, -1)
  const why = `${String(path.at(-1))} is missing`
  return new FileProblem(file, table, undefined, why, expected)
}

function reasonOf(issue: Issue, value: unknown): string {
  if (issue.code === 'custom') return String(issue.params?.['why'] ?? 'not possible')
  if (issue.code === 'invalid_key') return 'no such key'
  if (issue.code === 'too_small' || issue.code === 'too_big')
    return Array.isArray(value) ? 'empty' : 'out of range'
  if (issue.code === 'invalid_format') return 'not of that form'
  if (issue.code === 'invalid_value' && typeof value === 'string') return 'no such choice'
  const wantsNumber = issue.code === 'invalid_type' && /^(int|number)$/.test(issue.expected)
  return wantsNumber && typeof value === 'number' ? 'not a whole number' : `is ${kindOf(value)}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  return typeof value === 'object' ? 'a table' : `a ${typeof value}`
}

function unknownKey(file: string, table: KeyPath, name: string, known: KnownKeys): FileProblem {
  const kind = kindOfTable(table)
  const names = known[kind]
  const meant = suggest(name, names)
  const path = [...table, name]
  const why = 'no such key'
  const elsewhere = placeOf(name, kind, known)
  const isSame = elsewhere !== '' && meant.toLowerCase() !== name.toLowerCase()
  if (isSame)
    return new FileProblem(file, path, undefined, why, elsewhere, `It belongs in ${elsewhere}`)
  if (meant !== '')
    return new FileProblem(file, path, undefined, why, meant, `Did you mean ${meant}?`)
  return new FileProblem(file, path, undefined, why, `one of ${names.join(', ')}`)
}

function kindOfTable(path: KeyPath): keyof KnownKeys {
  if (path.length === 0) return 'file'
  if (path[0] !== 'sites') return path[0] === 'limits' ? 'limits' : 'accessLog'
  if (path.length === 2) return 'site'
  return path[2] === 'origin' ? 'origin' : 'rule'
}

const PLACES: Readonly<Record<keyof KnownKeys, string>> = {
  file: 'the top of the file',
  site: 'a site (sites)',
  origin: 'an origin (sites, origin)',
  rule: 'a rule (sites, rules)',
  accessLog: 'accessLog',
  limits: 'limits',
}

/** Another kind of table that has a key of exactly this name; '' if none has. */
function placeOf(name: string, but: keyof KnownKeys, known: KnownKeys): string {
  const kinds = Object.keys(PLACES) as (keyof KnownKeys)[]
  const kind = kinds.find(one => one !== but && known[one].includes(name))
  return kind === undefined ? '' : PLACES[kind]
}

const PROTO = '__proto__'
const isPlain = (name: string): boolean => name !== PROTO

/** A `__proto__` is a key like no other: JSON may have one, and zod may pass over it. */
export function protoProblems(file: string, data: unknown, path: KeyPath = []): FileProblem[] {
  if (typeof data !== 'object' || data === null) return []
  return Object.entries(data).flatMap(([name, value]) => {
    const key = [...path, Array.isArray(data) ? Number(name) : name]
    if (isPlain(name)) return protoProblems(file, value, key)
    return [new FileProblem(file, key, undefined, 'no such key', 'another name')]
  })
}
