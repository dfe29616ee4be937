/**
 * One real request, before a load of them: a load generator counts what it is given, and a server
 * that answers 200 where 304 was meant looks fast or slow for the wrong reason.
 */
import { createHash } from 'node:crypto'
import { runInside } from './process.ts'
import type { Side } from './servers.ts'

const LIMIT_MS = 10_000

/** An answer as it came. */
export interface Answer {
  readonly status: number
  /** By lower-case name. */
  readonly fields: Readonly<Record<string, string>>
  readonly bodyBytes: number
  /** Of the body, in hexadecimal. */
  readonly sha256: string
}

/** What an answer should be. */
export interface Expected {
  readonly status: number
  readonly body: Uint8Array
  /** Fields that it must have, by lower-case name. */
  readonly fields?: Readonly<Record<string, string>>
}

/** Runs where the client is, so in a process of its own. */
const CODE = `
  const { get } = require('node:http')
  const sha256 = require('node:crypto').createHash('sha256')
  const [url, headers] = process.argv.slice(1)
  get(url, { agent: false, headers: JSON.parse(headers) }, answer => {
    let bodyBytes = 0
    answer.on('data', chunk => { bodyBytes += chunk.length; sha256.update(chunk) })
    answer.on('end', () => console.log(JSON.stringify({
      status: answer.statusCode, fields: answer.headers, bodyBytes, sha256: sha256.digest('hex'),
    })))
  })`

/** GETs a path from where a side's clients are; throws when no whole answer comes. */
export async function ask(
  { clientNamespace, url }: Side,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<Answer> {
  const argv = [process.execPath, '-e', CODE, url + path, JSON.stringify(fields)]
  const { code, stdout, stderr } = await runInside(clientNamespace, argv, LIMIT_MS)
  if (code !== 0 || stdout === '') throw new Error(`no answer to GET ${path}: ${stderr.trim()}`)
  return JSON.parse(stdout) as Answer
}

/** What is wrong with an answer; '': nothing. */
export function problemOf(answer: Answer, expected: Expected): string {
  const { status, body, fields = {} } = expected
  if (answer.status !== status) return `status ${answer.status} instead of ${status}`
  if (answer.bodyBytes !== body.length) return `${answer.bodyBytes} bytes instead of ${body.length}`
  if (answer.sha256 !== createHash('sha256').update(body).digest('hex')) return 'other bytes'
  for (const [name, value] of Object.entries(fields)) {
    const got = answer.fields[name] ?? 'nothing'
    if (got.toLowerCase() !== value.toLowerCase()) return `${name}: ${got} instead of ${value}`
  }
  return ''
}
