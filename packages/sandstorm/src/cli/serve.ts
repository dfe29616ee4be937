/**
 * `sandstorm serve`: starts an instance, says where it listens, reloads it and ends it on a signal.
 * The one line on stdout, one for each device, is a contract that scripts wait for; everything else
 * goes to stderr.
 */
import type { ServeConfig } from '../config.ts'
import type { Instance, Log } from '../instance/instance.ts'
import { startInstance } from '../instance/start.ts'
import { LoadProgress } from '../log/loadProgress.ts'
import { OperatorLog } from '../log/operatorLog.ts'
import { Reloader } from './reload.ts'
import { watchSignals } from './signals.ts'

/** What serve needs from outside; tests bring their own. */
export interface ServeParts {
  readonly start: (config: ServeConfig, log: OperatorLog) => Promise<Instance>
  readonly print: (line: string) => void
  /** Takes text for stderr, a line with its end. */
  readonly complain: (text: string) => void
  /** Shows how far loading has come. */
  readonly onProgress?: Log['onProgress']
  /** Reads the configuration again; left out: there is nothing to read, and it stays as it is. */
  readonly reread?: () => Promise<ServeConfig>
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

/** The real ones, without a configuration file. */
export const SERVE_PARTS: ServeParts = {
  start: startInstance,
  print: line => process.stdout.write(`${line}\n`),
  complain: text => process.stderr.write(text),
  onProgress: process.stderr.isTTY ? showProgress() : undefined,
}

/** Serves until a signal comes or the instance ends by itself; returns the exit code. */
export async function serve(config: ServeConfig, parts: ServeParts = SERVE_PARTS): Promise<number> {
  const signals = watchSignals()
  const { complain, onProgress, reread = async () => config } = parts
  const log = new OperatorLog({ level: config.logLevel, write: complain, onProgress })
  const requests = watchRequests()
  try {
    const instance = await parts.start(config, log)
    const reloader = new Reloader({ config, reread, instance, log, nowMs: () => performance.now() })
    for (const { url, device } of instance.endpoints) {
      parts.print(`listening on ${withPort(url)} (device ${device})`)
    }
    requests.handle(
      () => void instance.reopenLogs?.(),
      () => reloader.ask(),
    )
    const ended = await Promise.race([instance.done, signals.first])
    reloader.close()
    if (ended === 'signal') {
      await instance.stop()
      return 0
    }
    if (ended.message !== '') log.error(ended.message)
    return ended.code
  } finally {
    signals.forget()
    requests.forget()
    log.flush()
  }
}

/** What SIGHUP and SIGUSR1 ask for. */
interface Requests {
  /** From now on they are heard; those that came before count, once. */
  handle(rotate: () => void, reload: () => void): void
  forget(): void
}

/**
 * SIGUSR1 asks for new log files, after a rename; SIGHUP for that and a reload. They are caught
 * from the beginning and in any case, since SIGHUP would end the process, and SIGUSR1 would start
 * Node's debugger.
 */
function watchRequests(): Requests {
  const waiting = { rotate: false, reload: false }
  let rotate = (): void => {
    waiting.rotate = true
  }
  let reload = (): void => {
    waiting.reload = true
  }
  const onUsr1 = (): void => rotate()
  const onHup = (): void => {
    rotate()
    reload()
  }
  process.on('SIGUSR1', onUsr1)
  process.on('SIGHUP', onHup)
  return {
    handle: (...handlers) => {
      ;[rotate, reload] = handlers
      if (waiting.rotate) rotate()
      if (waiting.reload) reload()
    },
    forget: () => {
      process.off('SIGUSR1', onUsr1)
      process.off('SIGHUP', onHup)
    },
  }
}

/** The contract is `http://ADDRESS:PORT/`, with the port even where a URL may leave it out. */
function withPort(text: string): string {
  const url = new URL(text)
  return `http://${url.hostname}:${url.port === '' ? 80 : url.port}/`
}
