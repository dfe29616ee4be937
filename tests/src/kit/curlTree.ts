/**
 * Fetches every file of a tree with one curl(1), 64 transfers at a time, and compares status,
 * length and the SHA-256 of what it wrote: a second client that shares no code with the first.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.ts'
import type { Fetched } from './fetchTree.ts'
import type { Namespace } from './namespace.ts'
import { temporaryFolder } from './temporary.ts'
import { sha256, type TreeFile } from './tree.ts'

export interface CurlOptions {
  readonly namespace?: Namespace | undefined
  /** Says `Connection: close` in every request. */
  readonly close?: boolean
  readonly limitMs?: number
}

/** GETs all files in parallel, connections kept alive unless `close`. Needs curl >= 7.66. */
export async function curlTree(
  url: string,
  files: readonly TreeFile[],
  options: CurlOptions = {},
): Promise<Fetched> {
  const { namespace, close = false, limitMs = 300_000 } = options
  const { path: dir, remove } = temporaryFolder('curl')
  const input = files
    .map((file, i) => `url = "${url}${file.path}"\noutput = "${join(dir, String(i))}"\n`)
    .join('')
  const header = close ? ['--header', 'Connection: close'] : []
  const argv = ['curl', '--disable', '--silent', '--show-error', '--globoff', '--path-as-is']
  const parallel = ['--parallel', '--parallel-immediate', '--parallel-max', '64']
  const report = ['--write-out', '%{http_code} %{num_connects} %{filename_effective}\n']
  const { code, stdout, stderr } = await run(
    [...argv, ...parallel, ...header, ...report, '--config', '-'],
    { namespace, input, limitMs },
  )
  const lines = stdout.trim().split('\n').map(parseLine)
  const statusOf = new Map(lines.map(line => [line.file, line.status]))
  const wrong = files
    .map((file, i) => [file.path, fault(file, join(dir, String(i)), statusOf)] as const)
    .filter(([, what]) => what !== '')
    .map(([path, what]) => `${path}: ${what}`)
  if (code !== 0) wrong.push(`curl ended with code ${code}: ${stderr.trim()}`)
  remove()
  return { wrong, connections: lines.reduce((sum, line) => sum + line.connects, 0) }
}

function parseLine(line: string): { status: string; connects: number; file: string } {
  const [status, connects, ...file] = line.split(' ')
  return { status, connects: Number(connects), file: file.join(' ') }
}

function fault(file: TreeFile, output: string, statusOf: ReadonlyMap<string, string>): string {
  const status = statusOf.get(output)
  if (status !== '200') return `status ${status}`
  // curl makes no file for an empty body.
  const body = existsSync(output) ? readFileSync(output) : new Uint8Array()
  if (body.length !== file.bytes) return `${body.length} bytes, not ${file.bytes}`
  return sha256(body) === file.sha256 ? '' : 'another body'
}
