/** A problem of a configuration file: one line that names the file, the key and its value. */
import { ConfigError } from '../cli/errors.ts'

/** Keys and indices from the top of the file to a value. */
export type KeyPath = readonly (string | number)[]

/** A key of a file, or its whole text, cannot be. */
export class FileProblem extends ConfigError {
  override readonly name: string = 'ConfigError'
  readonly file: string
  readonly key: KeyPath

  /**
   * `value` undefined: there is none to show. `advice`: a sentence in place of what was expected.
   */
  constructor(
    file: string,
    key: KeyPath,
    value: unknown,
    why: string,
    expected: string,
    advice: string = `Expected ${expected}`,
  ) {
    const where = [file, ...(key.length === 0 ? [] : [formatKey(key)])].join(': ')
    const shown = value === undefined || key.length === 0 ? '' : shorten(value)
    super(where, shown, why, expected)
    this.message = `${shown === '' ? where : `${where} ${shown}`}: ${why}. ${advice}`
    this.file = file
    this.key = key
  }
}

/** `sites[1].rules[0].match`; what is no plain name is quoted: `errorPages."40"`. */
function formatKey(key: KeyPath): string {
  const text = key.map(part => {
    if (typeof part === 'number') return `[${part}]`
    return /^[\w$-]+$/.test(part) ? `.${part}` : `.${shorten(part)}`
  })
  return text.join('').replace(/^\./, '')
}

const SHOWN_MAX = 60

/** As JSON, and not too long. */
export function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX - 1)}…`
}

/** The value at a path, or undefined. */
export function valueAt(data: unknown, key: KeyPath): unknown {
  let value = data
  for (const part of key) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<string | number, unknown>)[part]
  }
  return value
}
