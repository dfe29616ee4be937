/**
 * Runs one command to its end and hands back what it said. The one place where tests start client
 * programs, inside a network namespace or outside of any.
 *
 * A command that overruns its limit is killed and reported as an error, so that no test hangs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { atExit } from './cleanup.ts'
import type { Namespace } from './namespace.ts'

/** How a command ended; `code` is -1 when a signal ended it. */
export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Where and how a command runs. */
export interface CommandOptions {
  readonly namespace?: Namespace | undefined
  readonly env?: Record<string, string>
  /** Written to standard input, which is then closed. */
  readonly input?: string
  /** Standard input stays open, for a command that would end with it. */
  readonly keepsInput?: boolean
  /** Default: two minutes. */
  readonly limitMs?: number
}

/**
 * Starts `argv`, inside the namespace if there is one. `ip netns exec` becomes the command: same
 * pid.
 */
export function start(argv: readonly string[], options: CommandOptions = {}): ChildProcess {
  const [file, ...args] = options.namespace?.inside(argv) ?? argv
  const child = spawn(file, args, { env: { ...process.env, ...options.env } })
  const forget = atExit(() => child.kill('SIGKILL'))
  child.once('close', forget)
  // A command that ends before it has read its input is reported by its exit code, not by EPIPE.
  child.stdin.on('error', () => {})
  if (options.keepsInput !== true) child.stdin.end(options.input ?? '')
  return child
}

/** Runs `argv` to its end. Rejects only when it cannot be started or overruns its limit. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  const limitMs = options.limitMs ?? 120_000
  const child = start(argv, options)
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const code = await new Promise<number>((resolve, reject) => {
    const limit = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${argv.join(' ')}: not done after ${limitMs} ms\n${stdout()}${stderr()}`))
    }, limitMs)
    child.once('error', error => {
      clearTimeout(limit)
      reject(error)
    })
    child.once('close', code => {
      clearTimeout(limit)
      resolve(code ?? -1)
    })
  })
  return { code, stdout: stdout(), stderr: stderr() }
}

/** Gathers a stream's text; call the answer for what came so far. */
export function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}
