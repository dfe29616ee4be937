/**
 * How the command fails. A mistake that the user can mend is one line on stderr, `sandstorm: WHAT:
 * WHY. WHAT TO DO`, and exit code 2; anything else is our bug, one line and exit code 1, with the
 * stack only for those who set SANDSTORM_DEBUG=1. No way out of here shows a stack uninvited.
 */

import { StartError } from '../startError.ts'

/** Something the user can mend. The message is one line: what, why, what to do. */
export class UserError extends StartError {
  override readonly name: string = 'UserError'
  readonly what: string
  readonly why: string
  readonly fix: string

  constructor(what: string, why: string, fix: string) {
    super(`${what}: ${why}. ${fix}`)
    this.what = what
    this.why = why
    this.fix = fix
  }
}

/** A flag with a value that cannot be. */
export class ConfigError extends UserError {
  override readonly name: string = 'ConfigError'
  readonly flag: string
  readonly value: string
  readonly expected: string

  constructor(flag: string, value: string, why: string, expected: string) {
    super(value === '' ? `${flag} ""` : `${flag} ${value}`, why, `Expected ${expected}`)
    this.flag = flag
    this.value = value
    this.expected = expected
  }
}

/** A line for stderr and an exit code. */
export interface Failure {
  readonly line: string
  readonly exitCode: number
}

/** Turns whatever was thrown into one line; never throws. */
export function failureOf(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) return { line: `sandstorm: ${String(thrown)}`, exitCode: 1 }
  if (thrown instanceof StartError || thrown.name === 'SysError')
    return { line: oneLine(thrown.message), exitCode: 2 } // SysError: libnmio's refusal, with a hint
  const hint = process.env['SANDSTORM_DEBUG'] === '1' ? '' : ' (SANDSTORM_DEBUG=1 shows the stack)'
  return { line: oneLine(`unexpected: ${thrown.message}${hint}`), exitCode: 1 }
}

/**
 * Values come from anywhere: line breaks become spaces, other control characters are shown as
 * \u001b.
 */
function oneLine(message: string): string {
  const shown = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `sandstorm: ${message.replaceAll(/\s*\n\s*/g, ' ').replaceAll(/\p{Cc}/gu, shown)}`
}

/** Prints a failure to stderr and returns its exit code. */
export function reportFailure(thrown: unknown): number {
  const { line, exitCode } = failureOf(thrown)
  process.stderr.write(`${line}\n`)
  if (process.env['SANDSTORM_DEBUG'] === '1' && thrown instanceof Error)
    process.stderr.write(`${thrown.stack}\n`)
  return exitCode
}
