/**
 * What the server says to whoever runs it: lines on stderr, for journald or a terminal. Lines about
 * clients may hold what clients chose, and come as often as they choose; so control characters are
 * replaced, and such lines are held back (`limited`).
 */
import type { Log } from '../instance/instance.ts'

/** From the gravest to the most talkative; each includes those before it. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface OperatorLogOptions {
  /** Default info. */
  readonly level?: LogLevel | undefined
  /** Takes a line with its LF; default: stderr. */
  readonly write?: ((text: string) => void) | undefined
  /** Shows how far loading has come; default: nobody looks. */
  readonly onProgress?: Log['onProgress']
  /** Are counters at the end printed? Default: as SANDSTORM_STATS=1 asks. */
  readonly hasStats?: boolean | undefined
}

/** Where parts of the server say what may repeat itself. */
export interface LimitedLog {
  /** Says it at most once per `everyMs` and key (OperatorLog.limited). */
  limited(key: string, line: string, everyMs?: number): void
}

/** Longer lines are cut. */
const LOG_LINE_MAX = 4000
/** Of what is told at most once in a while. */
const EVERY_MS = 1000
/** Keys held back at once; beyond, lines are not printed at all until one is free. */
const KEYS_MAX = 256

/** What was said of a key while it was held back: how often, and the last of it. */
interface Held {
  count: number
  line: string
  timer: NodeJS.Timeout
}

export class OperatorLog implements Log, LimitedLog {
  /** Only where somebody sees it. */
  readonly onProgress: Log['onProgress']
  #rank: number
  readonly #write: (text: string) => void
  readonly #hasStats: boolean
  readonly #held: Map<string, Held> = new Map()

  constructor(options: OperatorLogOptions = {}) {
    this.#rank = LOG_LEVELS.indexOf(options.level ?? 'info')
    this.#write = options.write ?? (text => void process.stderr.write(text))
    this.onProgress = options.onProgress
    this.#hasStats = options.hasStats ?? process.env['SANDSTORM_STATS'] === '1'
  }

  /** From now on. */
  setLevel(level: LogLevel): void {
    this.#rank = LOG_LEVELS.indexOf(level)
  }

  error(line: string): void {
    this.#say('error', line)
  }

  warn(line: string): void {
    this.#say('warn', line)
  }

  info(line: string): void {
    this.#say('info', line)
  }

  debug(line: string): void {
    this.#say('debug', line)
  }

  /** Whether a level is printed: spares the making of lines that nobody sees. */
  shows(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) <= this.#rank
  }

  /** Counters, as one line of JSON without the prefix, for scripts. */
  stats(counters: object): void {
    if (this.#hasStats) this.#write(`stats ${JSON.stringify(counters)}\n`)
  }

  /**
   * A warning that may come at a rate that others choose: the first of a key is printed at once; of
   * those in the `everyMs` after it the last, when they are over, with how many more there were.
   * Keys are ours, never a client's.
   */
  limited(key: string, line: string, everyMs: number = EVERY_MS): void {
    const held = this.#held.get(key)
    if (held !== undefined) {
      held.count++
      held.line = line
      return
    }
    if (this.#held.size >= KEYS_MAX) return
    this.warn(line)
    this.#holdBack(key, everyMs)
  }

  /** Prints what is held back: before the process ends. */
  flush(): void {
    for (const held of this.#held.values()) {
      clearTimeout(held.timer)
      this.#sayHeld(held)
    }
    this.#held.clear()
  }

  #holdBack(key: string, everyMs: number): void {
    const timer = setTimeout(() => {
      const held = this.#held.get(key)
      this.#held.delete(key)
      if (held === undefined || held.count === 0) return
      this.#sayHeld(held)
      this.#holdBack(key, everyMs)
    }, everyMs)
    timer.unref()
    this.#held.set(key, { count: 0, line: '', timer })
  }

  #sayHeld({ count, line }: Held): void {
    if (count > 0) this.warn(count === 1 ? line : `${line} (and ${count - 1} more)`)
  }

  #say(level: LogLevel, line: string): void {
    if (this.shows(level)) this.#write(`sandstorm: ${printable(line)}\n`)
  }
}

/** What moves a cursor, ends a line or turns text around. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu

/** One line: line breaks become spaces, other control characters are shown as \u001b. */
function printable(line: string): string {
  const cut = line.length > LOG_LINE_MAX ? `${line.slice(0, LOG_LINE_MAX)}...` : line
  const shown = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  return cut.replaceAll(/\s*\n\s*/g, ' ').replaceAll(UNPRINTABLE, shown)
}
