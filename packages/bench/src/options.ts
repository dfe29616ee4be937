/**
 * What every measurement is told: how long, how often, where the record goes. Quick runs are for
 * CI, which wants to know that the benchmark works, not what it says.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** The root of the clone, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL('../../../../', import.meta.url))

export interface Options {
  /** The cases to run; empty: all. */
  readonly names: readonly string[]
  /** Length of one run. */
  readonly seconds: number
  /**
   * Likewise on links in memory, where no other program wants whole seconds: less in a quick run.
   */
  readonly linkSeconds: number
  /** How many times A and B take turns. */
  readonly pairs: number
  /** Only to show that it works. */
  readonly quick: boolean
  /** Where the JSON records go; git ignores it. */
  readonly outDir: string
}

export const USAGE: string = `usage: npm run bench -- [CASE…] [--seconds 5] [--pairs 5] [--quick]
  --seconds N   length of one run
  --pairs N     how many times both sides take turns
  --quick       one pair of a second at most: shows that it works, not how fast it is
`

const QUICK_LINK_SECONDS = 0.2

/** Of all that there is to measure what a quick run does: the first and the last. */
export const few = <T>(all: readonly T[], { quick }: Options): readonly T[] =>
  quick ? all.filter((_, i) => i === 0 || i === all.length - 1) : all

/** Reads the command line; throws an Error with one clear line when it makes no sense. */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '5' },
      pairs: { type: 'string', default: '5' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const seconds = values.quick ? 1 : positive('--seconds', values.seconds)
  return {
    names: positionals,
    seconds,
    linkSeconds: values.quick ? QUICK_LINK_SECONDS : seconds,
    pairs: values.quick ? 1 : positive('--pairs', values.pairs),
    quick: values.quick,
    outDir: `${ROOT}artifacts/bench`,
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 600) {
    throw new Error(`${flag} ${text}: a whole number from 1 to 600 is wanted`)
  }
  return value
}
