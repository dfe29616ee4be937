/**
 * `sandstorm serve`: starts an instance, says where it listens, ends it on a signal. The one line
 * on stdout, one for each device, is a contract that scripts wait for; everything else goes to stderr.
 */
import type { ServeConfig } from '../config.ts'
import type { Instance, Log } from '../instance/instance.ts'
import { startInstance } from '../instance/start.ts'

/** What serve needs from outside; tests bring their own. */
export interface ServeParts {
  readonly start: (config: ServeConfig, log: Log) => Promise<Instance>
  readonly print: (line: string) => void
  readonly complain: (line: string) => void
}

const PARTS: ServeParts = {
  start: startInstance,
  print: line => process.stdout.write(`${line}\n`),
  complain: line => process.stderr.write(`sandstorm: ${line}\n`),
}

/** With SANDSTORM_STATS=1 the counters at the end go to stderr, as one line of JSON. */
const printStats = (stats: object): void => {
  if (process.env['SANDSTORM_STATS'] !== '1') return
  process.stderr.write(`stats ${JSON.stringify(stats)}\n`)
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Serves until a signal comes or the instance ends by itself; returns the exit code. */
export async function serve(config: ServeConfig, parts: ServeParts = PARTS): Promise<number> {
  const signals = watchSignals()
  try {
    const instance = await parts.start(config, {
      info: parts.complain,
      warn: parts.complain,
      stats: printStats,
    })
    for (const { url, device } of instance.endpoints) {
      parts.print(`listening on ${withPort(url)} (device ${device})`)
    }
    const ended = await Promise.race([instance.done, signals.first])
    if (ended === 'signal') {
      await instance.stop()
      return 0
    }
    if (ended.message !== '') parts.complain(ended.message)
    return ended.code
  } finally {
    signals.forget()
  }
}

/** The contract is `http://ADDRESS:PORT/`, with the port even where a URL may leave it out. */
function withPort(text: string): string {
  const url = new URL(text)
  return `http://${url.hostname}:${url.port === '' ? 80 : url.port}/`
}

/**
 * The first signal asks for a clean end. The second ends the process at once, by the signal itself
 * (a shell sees 130 for Ctrl-C): process.exit would wait for a worker that sits in poll(2).
 */
function watchSignals(): { first: Promise<'signal'>; forget(): void } {
  let count = 0
  let settle: (value: 'signal') => void = () => {}
  const first = new Promise<'signal'>(resolve => {
    settle = resolve
  })
  const onSignal = (signal: NodeJS.Signals): void => {
    settle('signal')
    if (++count === 1) return
    forget()
    process.kill(process.pid, signal)
  }
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return { first, forget }
}
