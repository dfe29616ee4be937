/**
 * `sandstorm serve`: starts an instance, says where it listens, ends it on a signal. The one line
 * on stdout, one for each device, is a contract that scripts wait for; everything else goes to stderr.
 */
import type { ServeConfig } from '../config.ts'
import type { Instance, Log } from '../instance/instance.ts'
import { startInstance } from '../instance/start.ts'
import { LoadProgress } from '../log/loadProgress.ts'
import { OperatorLog } from '../log/operatorLog.ts'

/** What serve needs from outside; tests bring their own. */
export interface ServeParts {
  readonly start: (config: ServeConfig, log: OperatorLog) => Promise<Instance>
  readonly print: (line: string) => void
  /** Takes text for stderr, a line with its end. */
  readonly complain: (text: string) => void
  /** Shows how far loading has come. */
  readonly onProgress?: Log['onProgress']
}

/** The line begins with the first file. */
function showProgress(): Log['onProgress'] {
  let progress: LoadProgress | undefined
  return (...counts) => {
    progress ??= new LoadProgress(
      text => process.stderr.write(text),
      () => performance.now(),
    )
    progress.update(...counts)
  }
}

const PARTS: ServeParts = {
  start: startInstance,
  print: line => process.stdout.write(`${line}\n`),
  complain: text => process.stderr.write(text),
  onProgress: process.stderr.isTTY ? showProgress() : undefined,
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const ROTATION_SIGNALS = ['SIGHUP', 'SIGUSR1'] as const

/** Serves until a signal comes or the instance ends by itself; returns the exit code. */
export async function serve(config: ServeConfig, parts: ServeParts = PARTS): Promise<number> {
  const signals = watchSignals()
  const { complain, onProgress } = parts
  const log = new OperatorLog({ level: config.logLevel, write: complain, onProgress })
  const rotation = watchRotation()
  try {
    const instance = await parts.start(config, log)
    rotation.onSignal = () => void instance.reopenLogs?.()
    for (const { url, device } of instance.endpoints) {
      parts.print(`listening on ${withPort(url)} (device ${device})`)
    }
    const ended = await Promise.race([instance.done, signals.first])
    if (ended === 'signal') {
      await instance.stop()
      return 0
    }
    if (ended.message !== '') log.error(ended.message)
    return ended.code
  } finally {
    signals.forget()
    rotation.forget()
    log.flush()
  }
}

/**
 * Log rotation: after a rename these ask for a new file. They are caught whether there is a log or not,
 * since SIGHUP would end the process, and SIGUSR1 would start Node's debugger.
 */
function watchRotation(): { onSignal: () => void; forget(): void } {
  const rotation = {
    onSignal: (): void => {},
    forget: (): void => {
      for (const signal of ROTATION_SIGNALS) process.off(signal, ask)
    },
  }
  const ask = (): void => rotation.onSignal()
  for (const signal of ROTATION_SIGNALS) process.on(signal, ask)
  return rotation
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
