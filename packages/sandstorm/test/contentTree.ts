/**
 * For the tests of content and HTTP: folders made of a list of files, and content loaded from them.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Content, DEFAULT_SITE, IDENTITY, NO_VARIANT } from '../src/content/content.ts'
import { ETAG_CHARS } from '../src/content/head.ts'
import * as image from '../src/content/image.ts'
import { type LoadOptions, loadContent } from '../src/content/live.ts'
import { attachContent } from '../src/content/table.ts'
import { plainSite, type Site } from '../src/site/site.ts'

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

export interface Loaded {
  readonly content: Content
  readonly warnings: string[]
}

/** Loads a folder as the only site; returns its reader and the warnings. */
export function load(
  root: string,
  site: Partial<Site> = {},
  options: Partial<LoadOptions> = {},
): Promise<Loaded> {
  return loadSites([{ ...plainSite(root), ...site }], options)
}

/** Loads several sites. */
export async function loadSites(
  sites: readonly Site[],
  options: Partial<LoadOptions> = {},
): Promise<Loaded> {
  const warnings: string[] = []
  const onWarning = (line: string): void => void warnings.push(line)
  const shared = await loadContent(sites, { memoryBytes: 2 ** 28, onWarning, ...options })
  return { content: attachContent(structuredClone(shared)), warnings }
}

/** The site of a Host value, found from the middle of a larger buffer. */
export function siteOf(content: Content, host: string): number {
  const bytes = Buffer.from(`##${host}##`, 'latin1')
  return content.siteOf(bytes, 2, bytes.length - 2)
}

/** The resource of a canonical path, found from the middle of a larger buffer. */
export function find(content: Content, path: string, site: number = DEFAULT_SITE): number {
  const bytes = Buffer.from(`##${path}##`)
  return content.find(site, bytes, 2, bytes.length - 2)
}

/**
 * The variant of a canonical path that there is, in a coding; NO_VARIANT if it is not offered in
 * it.
 */
export function variantOf(content: Content, path: string, coding: number = IDENTITY): number {
  return content.variantOf(find(content, path), coding)
}

/** Head and body of an image as they lie in the region. */
export function answerOf(
  content: Content,
  handle: number,
): { status: number; head: string; body: Buffer; isPaged: boolean } {
  const off = content.images[handle + image.IMAGE_OFF]
  const headLen = content.images[handle + image.HEAD_LEN]
  const bodyLen = content.images[handle + image.BODY_LEN]
  const bytes = Buffer.from(content.region.buffer, off, headLen + bodyLen)
  return {
    status: content.images[handle + image.STATUS],
    head: bytes.toString('latin1', 0, headLen),
    body: bytes.subarray(headLen),
    isPaged: content.images[handle + image.PAGED] !== 0,
  }
}

/** All images that a new store has. */
export function imagesOf({ images }: Content): number[] {
  const all: number[] = []
  for (let i = 0; images[i + image.HEAD_LEN] > 0; i += image.IMAGE_STRIDE) all.push(i)
  return all
}

/** The answer to a canonical path in a coding: 404's if there is none. */
export function answerTo(
  content: Content,
  path: string,
  { site = DEFAULT_SITE, coding = IDENTITY }: { site?: number; coding?: number } = {},
): ReturnType<typeof answerOf> {
  const resource = find(content, path, site)
  const variant = resource < 0 ? NO_VARIANT : content.variantOf(resource, coding)
  const isThere = variant !== NO_VARIANT
  return answerOf(content, isThere ? content.imageOf(variant) : content.statusImage(site, 404))
}

/** The 304 of a canonical path in a coding. */
export function notModifiedTo(
  content: Content,
  path: string,
  coding: number = IDENTITY,
): ReturnType<typeof answerOf> {
  return answerOf(content, content.notModifiedOf(variantOf(content, path, coding)))
}

/** The characters of a variant's entity tag as the table has them; '' if it has none. */
export function storedEtag(content: Content, variant: number): string {
  const off = content.etagOff(variant)
  return off === 0 ? '' : Buffer.from(content.region.buffer, off, ETAG_CHARS).toString('latin1')
}

/** The quoted entity tag in a head. */
export function etagOf(head: string): string {
  const [, etag] = /\r\nETag: ("[^"]*")\r\n/.exec(head) ?? []
  if (etag === undefined) throw new Error(`no ETag in ${JSON.stringify(head)}`)
  return etag
}
