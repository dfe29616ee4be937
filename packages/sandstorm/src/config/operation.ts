/** How a server is watched: its access log, its admin endpoint, and how much it says. */
import { isIP } from 'node:net'
import { ConfigError, UserError } from '../cli/errors.ts'
import { LOG_LEVELS, type LogLevel } from '../log/operatorLog.ts'
import { normalHost } from './hosts.ts'
import { checkOutput } from './paths.ts'

export const LOG_FORMATS = ['common', 'combined', 'json'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export interface AccessLog {
  /** An absolute path; '-': stdout; '': none. */
  readonly path: string
  readonly format: LogFormat
}

/** On the kernel's stack, whatever the device. */
export interface Admin {
  /** IPv4 or IPv6, without brackets. */
  readonly address: string
  readonly port: number
  /** Names by which it may be asked, in lower case. */
  readonly hosts: readonly string[]
}

/** The flags as they were typed. */
export interface OperationFlags {
  readonly accessLog?: string
  readonly logFormat?: string
  readonly logLevel?: string
  readonly admin?: string
  readonly adminHost?: readonly string[]
}

export function checkAccessLog({ accessLog, logFormat }: OperationFlags): AccessLog {
  const path = accessLog ?? ''
  if (accessLog === undefined && logFormat !== undefined)
    throw new UserError('--log-format', 'is of an access log', 'Give --access-log as well')
  return {
    path:
      accessLog === undefined || path === '-'
        ? path
        : checkOutput('--access-log', path, 'access.log or -'),
    format: checkChoice('--log-format', logFormat ?? 'combined', LOG_FORMATS),
  }
}

export const checkLogLevel = ({ logLevel }: OperationFlags): LogLevel =>
  checkChoice('--log-level', logLevel ?? 'info', LOG_LEVELS)

/** `127.0.0.1:9077` or `[::1]:9077`. */
export function checkAdmin({ admin, adminHost }: OperationFlags): Admin | undefined {
  if (admin === undefined && adminHost !== undefined)
    throw new UserError('--admin-host', 'is of an admin server', 'Give --admin as well')
  if (admin === undefined) return undefined
  const [, six, four = six, digits] = /^(?:\[([^[\]%]*)\]|([\d.]*)):(\d{1,5})$/.exec(admin) ?? []
  const port = Number(digits)
  const isAddress = isIP(four ?? '') === (six === undefined ? 4 : 6)
  if (isAddress && port >= 1 && port <= 65535)
    return { address: four, port, hosts: (adminHost ?? []).map(checkAdminHost) }
  const why = isAddress ? 'out of range' : 'not an address and a port'
  throw new ConfigError('--admin', admin, why, 'one like 127.0.0.1:9077 or [::1]:9077')
}

function checkAdminHost(text: string): string {
  const name = normalHost(text)
  if (name !== '' && !name.startsWith('*')) return name
  throw new ConfigError('--admin-host', text, 'not a name', 'one like web1.example.org')
}

export function checkChoice<T extends string>(
  flag: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find(known => known === text)
  if (choice !== undefined) return choice
  throw new ConfigError(flag, text, 'no such choice', choices.join(', '))
}
