/**
 * Fetches every file of a tree with Node's HTTP client and compares status, Content-Length and the
 * SHA-256 of the body. What is wrong comes back as data, one line per file, for `assert.deepEqual`.
 */

import { type Answer, type ClientOptions, request } from './httpClient.ts'
import type { TreeFile } from './tree.ts'

export interface Fetched {
  /** One line per file that is not as it should be. */
  readonly wrong: readonly string[]
  /** How many TCP connections it took. */
  readonly connections: number
}

/** GETs all files with up to 64 connections, kept alive unless `close`. */
export async function fetchTree(
  url: string,
  files: readonly TreeFile[],
  options: ClientOptions = {},
): Promise<Fetched> {
  const { answers, connections } = await request(url, files, options)
  const wrong = files
    .map((file, i) => [file.path, fault(file, answers[i])] as const)
    .filter(([, what]) => what !== '')
    .map(([path, what]) => `${path}: ${what}`)
  return { wrong, connections }
}

function fault(file: TreeFile, answer: Answer): string {
  if (answer.error !== '') return answer.error
  if (answer.status !== 200) return `status ${answer.status}`
  if (answer.headers['content-length'] !== String(file.bytes))
    return `Content-Length ${answer.headers['content-length']}, not ${file.bytes}`
  if (answer.bytes !== file.bytes) return `${answer.bytes} bytes, not ${file.bytes}`
  return answer.sha256 === file.sha256 ? '' : `another body: SHA-256 ${answer.sha256}`
}
