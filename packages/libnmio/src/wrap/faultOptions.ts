/**
 * The faults of a bad network as the command line writes them:
 * `--fault drop=0.01,dup=0.01,reorder=0.01,corrupt=0.01,delay=5ms,seed=1`, all optional. The four
 * probabilities are of a frame, in each direction; the delay is added in each direction.
 */

export interface FaultOptions {
  /** Probability that a frame is lost. */
  readonly drop: number
  /** Probability that a frame comes twice. */
  readonly dup: number
  /** Probability that a frame is held back until one to three later ones have passed it. */
  readonly reorder: number
  /** Probability that one bit behind the Ethernet header flips. */
  readonly corrupt: number
  /** Every frame comes this much later. */
  readonly delayUs: number
  /** An integer below 2^32: the same seed brings the same faults. */
  readonly seed: number
}

/** No faults, seed 1. */
export const NO_FAULTS: FaultOptions = {
  drop: 0,
  dup: 0,
  reorder: 0,
  corrupt: 0,
  delayUs: 0,
  seed: 1,
}

const UNIT_US: Record<string, number> = { us: 1, ms: 1e3, s: 1e6 }
const DELAY_MAX_US = 60e6

function bad(item: string, expected: string): Error {
  return new Error(`fault option "${item}": expected ${expected}`)
}

function parseProbability(item: string, value: string): number {
  const p = /^\d*\.?\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(p <= 1)) throw bad(item, 'a probability from 0 to 1, like 0.01')
  return p
}

function parseDelayUs(item: string, value: string): number {
  const [, digits, unit] = /^(\d*\.?\d+)(us|ms|s)$/.exec(value) ?? []
  const us = unit === undefined ? Number.NaN : Math.round(Number(digits) * UNIT_US[unit])
  if (!(us <= DELAY_MAX_US)) throw bad(item, 'a time of up to 60s with its unit, like 300us or 5ms')
  return us
}

function parseSeed(item: string, value: string): number {
  const seed = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(seed < 2 ** 32)) throw bad(item, 'an integer from 0 to 4294967295')
  return seed
}

/**
 * Reads the value of `--fault`. Throws an Error that names the key, the value and what was
 * expected.
 */
export function parseFault(text: string): FaultOptions {
  const options = { ...NO_FAULTS }
  const seen = new Set<string>()
  for (const item of text.split(',')) {
    const at = item.indexOf('=')
    const key = at < 0 ? item : item.slice(0, at)
    const value = at < 0 ? '' : item.slice(at + 1)
    if (seen.has(key)) throw bad(item, `${key} only once`)
    seen.add(key)
    switch (key) {
      case 'drop':
      case 'dup':
      case 'reorder':
      case 'corrupt':
        options[key] = parseProbability(item, value)
        break
      case 'delay':
        options.delayUs = parseDelayUs(item, value)
        break
      case 'seed':
        options.seed = parseSeed(item, value)
        break
      default:
        throw bad(item, 'KEY=VALUE with a KEY of drop, dup, reorder, corrupt, delay, seed')
    }
  }
  return options
}
