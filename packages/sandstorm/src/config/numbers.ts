/** Flags that are whole numbers of a range. */
import { ConfigError } from '../cli/errors.ts'

/** Throws ConfigError for anything else than a number from `least` to `most`. */
export function checkNumber(flag: string, text: string, least: number, most: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && value <= most) return value
  const why = Number.isNaN(value) ? 'not a whole number' : 'out of range'
  throw new ConfigError(flag, text, why, `a number from ${least} to ${most}`)
}

/** The same of a flag that need not be given. */
export const checkOptionalNumber = (
  flag: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined => (text === undefined ? undefined : checkNumber(flag, text, least, most))
