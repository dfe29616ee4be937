/**
 * Keys of a configuration file and flags of the command line: the same names, in camelCase there
 * and with dashes here. A file becomes flags, and what is said of a flag becomes what is said of a
 * key.
 */
import { resolve } from 'node:path'
import { ConfigError, type UserError } from '../cli/errors.ts'
import type { ServeFlags } from '../config.ts'
import { FileProblem, type KeyPath, valueAt } from './fileProblem.ts'
import type { ConfigFile, FlagValue } from './shape.ts'

/** Keys that are no flags. */
const NO_FLAGS: readonly string[] = ['$schema', 'root', 'sites', 'limits', 'accessLog']
/** Flags that may be repeated. */
const LISTS: readonly string[] = ['device', 'address', 'address6', 'hostAddress6', 'adminHost']

/** The file's keys as they would have been typed; `folder` is where its relative paths begin. */
export function flagsOf(data: ConfigFile, folder: string): ServeFlags {
  const flags: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(data))
    if (!NO_FLAGS.includes(key)) flags[key] = flagOf(key, value as FlagValue, folder)
  const { path, format } = data.accessLog ?? {}
  if (path !== undefined && path !== '')
    flags['accessLog'] = path === '-' ? path : resolve(folder, path)
  if (format !== undefined) flags['logFormat'] = format
  // What is undefined was not given, as with a switch that is off.
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
}

function flagOf(key: string, value: FlagValue, folder: string): unknown {
  if (typeof value === 'boolean') return value ? true : undefined
  const texts = [value].flat().map(String)
  if (key === 'device') return texts.map(text => deviceOf(text, folder))
  if (LISTS.includes(key)) return texts
  const text = texts.join(',')
  return key === 'pcap' && text !== '' ? resolve(folder, text) : text
}

/** The socket of memif may be a path. */
function deviceOf(text: string, folder: string): string {
  const path = /^memif:([^@/].*)$/s.exec(text)?.[1]
  return path === undefined ? text : `memif:${resolve(folder, path)}`
}

/** Where a flag has another name in the file. */
const PATHS: Readonly<Record<string, KeyPath>> = {
  accessLog: ['accessLog', 'path'],
  logFormat: ['accessLog', 'format'],
}

const FLAG = /--([a-z][a-z0-9-]*)/g

/** The name of a flag in ServeFlags. */
const nameOf = (flag: string): string =>
  flag.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

const keyOf = (name: string): KeyPath => PATHS[name] ?? [name]

/**
 * What is said of flags, said of the keys that they came from; as it is, if it is of no flag or of
 * one that was `typed`.
 */
export function inFile(
  problem: UserError,
  file: string,
  data: ConfigFile,
  typed: ServeFlags = {},
): UserError {
  const { why, fix } = problem
  const what = problem instanceof ConfigError ? problem.flag : problem.what
  const names = [...`${what} ${why} ${fix}`.matchAll(FLAG)].map(([, flag]) => nameOf(flag))
  const isTyped = (name: string): boolean => Object.hasOwn(typed, name)
  if (names.length === 0 || isTyped(names[0])) return problem
  const inKeys = (text: string): string =>
    text.replaceAll(FLAG, (typing, flag: string) =>
      isTyped(nameOf(flag)) ? typing : keyOf(nameOf(flag)).join('.'),
    )
  const keys = names.map(keyOf)
  const key = keys.find(one => valueAt(data, one) !== undefined) ?? keys[0]
  const at = [...key, ...indexOf(problem, valueAt(data, key))]
  return new FileProblem(file, at, valueAt(data, at), inKeys(why), inKeys(fix), inKeys(fix))
}

/** Which of a list's values the problem is about; nothing if that is not known. */
function indexOf(problem: UserError, value: unknown): number[] {
  if (!(problem instanceof ConfigError) || !Array.isArray(value)) return []
  const index = value.indexOf(problem.value)
  return index < 0 ? [] : [index]
}
