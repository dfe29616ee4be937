/**
 * The kinds of keys of a configuration file. Each has a description and a default, which go into
 * the JSON Schema and into docs/config.md, and says in its `error` what is expected. All are
 * optional.
 */
import type * as Zod from 'zod'
import { formatDuration } from '../cli/duration.ts'
import { formatSize, parseSize } from '../cli/size.ts'
import { DEFAULT_LIMITS, type LimitKey, type Measure, parseLimit } from './limits.ts'

/** What a key's own check found wrong, as a custom issue: `message` is what was expected. */
export interface Refusal {
  readonly why: string
  readonly expected: string
  /** Below the key. */
  readonly path?: readonly string[]
}

export interface KeyMaker {
  /** With a description, and a default for people to read. */
  described(schema: Zod.ZodType, description: string, byDefault?: string): Zod.ZodType
  text(description: string, expected: string, byDefault?: string): Zod.ZodType
  /** Text, or a list of one at least. */
  texts(description: string, expected: string, byDefault?: string): Zod.ZodType
  numbers(description: string, expected: string, byDefault: string): Zod.ZodType
  flag(description: string, byDefault: string): Zod.ZodType
  choice(description: string, choices: readonly string[], byDefault: string): Zod.ZodType
  count(description: string, least: number, most: number, byDefault: string): Zod.ZodType
  size(description: string, byDefault: string): Zod.ZodType
  limit(limit: LimitKey): Zod.ZodType
  /** `byDefault` in its own unit. */
  measure(measure: Measure, byDefault?: number): Zod.ZodType
  /** Checks a value that is of the right type. */
  checked<T>(schema: Zod.ZodType<T>, check: (value: T) => readonly Refusal[]): Zod.ZodType<T>
}

type NumberOrText = string | number

export function keyMaker(z: typeof Zod): KeyMaker {
  const textOr = <T>(other: Zod.ZodType<T>, error: string): Zod.ZodType<string | T> =>
    z.union([z.string(), other], { error })
  const range = (error: string, least: number, most: number): Zod.ZodType =>
    z.int({ error }).min(least, { error }).max(most, { error })
  const sized = (error: string, check: (value: NumberOrText) => readonly Refusal[]): Zod.ZodType =>
    checked(textOr(z.number(), error), check)
  const measure = (one: Measure, byDefault?: number): Zod.ZodType => {
    const expected = limitExpected(one)
    const schema =
      one.kind === 'count'
        ? range(expected, one.least, one.most)
        : sized(expected, value => checkLimit(one, value))
    const text = byDefault === undefined ? undefined : limitText(one, byDefault)
    return described(schema, one.description, text)
  }
  return {
    described,
    checked,
    text: (description, error, byDefault) => described(z.string({ error }), description, byDefault),
    texts: (description, error, byDefault) =>
      described(textOr(z.array(z.string()).min(1), error), description, byDefault),
    numbers: (description, error, byDefault) =>
      described(textOr(z.array(z.int().min(0)).min(1), error), description, byDefault),
    flag: (description, byDefault) =>
      described(z.boolean({ error: 'true or false' }), description, byDefault),
    choice: (description, choices, byDefault) =>
      described(z.enum(choices, { error: choices.join(', ') }), description, byDefault),
    count: (description, least, most, byDefault) => {
      const expected = `a whole number from ${least} to ${most}`
      return described(range(expected, least, most), description, byDefault)
    },
    size: (description, byDefault) =>
      described(sized(SIZE_EXPECTED, checkSize), description, byDefault),
    limit: limit => measure(limit, DEFAULT_LIMITS[limit.member]),
    measure,
  }
}

function described(schema: Zod.ZodType, description: string, byDefault?: string): Zod.ZodType {
  const rest = byDefault === undefined ? '' : ` (default: ${byDefault})`
  return schema.meta({ description: description + rest }).optional()
}

function checked<T>(
  schema: Zod.ZodType<T>,
  check: (value: T) => readonly Refusal[],
): Zod.ZodType<T> {
  return schema.superRefine((value, context) => {
    for (const { why, expected, path = [] } of check(value))
      context.addIssue({ code: 'custom', message: expected, path: [...path], params: { why } })
  })
}

const SIZE_EXPECTED = 'a size like 512MiB'

/** Its range is the command line's business (config.ts). */
function checkSize(value: NumberOrText): Refusal[] {
  if (!Number.isNaN(parseSize(String(value)))) return []
  return [{ why: 'not a size', expected: SIZE_EXPECTED }]
}

function checkLimit(limit: Measure, value: NumberOrText): Refusal[] {
  const parsed = parseLimit(limit, value)
  const expected = limitExpected(limit)
  if (Number.isNaN(parsed)) return [{ why: `not a ${limit.kind}`, expected }]
  const isInside = parsed >= limit.least && parsed <= limit.most
  return isInside ? [] : [{ why: 'out of range', expected }]
}

function limitText({ kind }: Measure, value: number): string {
  if (kind === 'duration') return formatDuration(value)
  return kind === 'size' ? formatSize(value) : `${value}`
}

function limitExpected(limit: Measure): string {
  const range = `from ${limitText(limit, limit.least)} to ${limitText(limit, limit.most)}`
  if (limit.kind === 'duration') return `seconds, or text like "500ms", ${range}`
  return limit.kind === 'size' ? `bytes, or text like "4KiB", ${range}` : `a whole number ${range}`
}
