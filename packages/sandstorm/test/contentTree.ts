/**
 * For the tests of content and HTTP: folders made of a list of files, and content loaded from them.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Content } from '../src/content/content.ts'
import * as image from '../src/content/image.ts'
import { type LoadOptions, loadContent } from '../src/content/load.ts'
import { attachContent } from '../src/content/table.ts'

/** A new folder with these files, removed after the test. */
export function makeTree(t: TestContext, files: Record<string, string | Uint8Array>): string {
  const root = mkdtempSync(join(tmpdir(), 'sandstorm-test-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, body] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), body)
  }
  return root
}

/** Loads a folder; returns its reader and the warnings. */
export async function load(
  root: string,
  options: Partial<LoadOptions> = {},
): Promise<{ content: Content; warnings: string[] }> {
  const warnings: string[] = []
  const onWarning = (line: string): void => void warnings.push(line)
  const shared = await loadContent(root, { memoryBytes: 2 ** 28, onWarning, ...options })
  return { content: attachContent(structuredClone(shared)), warnings }
}

/** The resource of a canonical path, found from the middle of a larger buffer. */
export function find(content: Content, path: string): number {
  const bytes = Buffer.from(`##${path}##`)
  return content.find(bytes, 2, bytes.length - 2)
}

/** Head and body of an image as they lie in the region. */
export function answerOf(
  content: Content,
  handle: number,
): { status: number; head: string; body: Buffer } {
  const off = content.images[handle + image.IMAGE_OFF]
  const headLen = content.images[handle + image.HEAD_LEN]
  const bodyLen = content.images[handle + image.BODY_LEN]
  const bytes = Buffer.from(content.region.buffer, off, headLen + bodyLen)
  return {
    status: content.images[handle + image.STATUS],
    head: bytes.toString('latin1', 0, headLen),
    body: bytes.subarray(headLen),
  }
}

/** The answer to a canonical path: 404's if there is none. */
export function answerTo(content: Content, path: string): ReturnType<typeof answerOf> {
  const resource = find(content, path)
  return answerOf(content, resource < 0 ? content.statusImage(404) : content.imageOf(resource))
}

/** The quoted entity tag in a head. */
export function etagOf(head: string): string {
  const [, etag] = /\r\nETag: ("[^"]*")\r\n/.exec(head) ?? []
  if (etag === undefined) throw new Error(`no ETag in ${JSON.stringify(head)}`)
  return etag
}
