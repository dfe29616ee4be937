/**
 * Plans what a site answers with: an image, a 304 and a variant for each coding of each file that was
 * found, the paths that lead there, and the redirects to folders.
 *
 * A file has one head for all of its paths, since its body lies behind it; so a rule that matches one
 * of them holds for all.
 */
import { type CompiledRule, fieldsOf, type RuleFields } from '../site/rules.ts'
import type { CodingName, Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import type { ContentBuilder } from './builder.ts'
import { BR, GZIP, IDENTITY, ZSTD } from './content.ts'
import type { FoundCoding, FoundFile, FoundListing, FoundTree } from './found.ts'
import { fileHead, type Head, notModifiedHead, type Representation, redirectHead } from './head.ts'
import { HEAD_LEN_MAX, HEAD_ROOM } from './image.ts'
import { makeListing } from './listing.ts'
import { contentType } from './mediaType.ts'
import { etagOf, type FileState } from './read.ts'
import { warning } from './scan.ts'

/** A coding's index (content.ts). */
export const CODING_INDEX: Readonly<Record<CodingName, number>> = { gzip: GZIP, br: BR, zstd: ZSTD }

/** What all heads of a site have in common. */
export interface SiteHeads {
  /** Its index among the sites. */
  readonly site: number
  readonly serverName: string
  readonly rules: readonly CompiledRule[]
  /** When loading began: nothing was modified later (RFC 9110 §8.8.2.1). */
  readonly nowSec: number
  readonly onWarning: (line: string) => void
}

/** Bytes that are read into an image. */
export interface PlacedVariant {
  readonly variant: number
  readonly image: number
  readonly notModified: number
  readonly coding: CodingName | undefined
  /** The file with these bytes, or where they came from if they are there already. */
  readonly source: FoundCoding['source']
  state: FileState
}

/** A file with its places in the region. */
export interface PlacedFile {
  readonly found: FoundFile
  readonly heads: SiteHeads
  readonly fields: RuleFields
  readonly resources: readonly number[]
  /** That of identity is the first. */
  readonly variants: readonly PlacedVariant[]
}

/** Plans an image and paths for all that was found; returns the files that are to be read. */
export function placeTree(
  tree: FoundTree,
  kind: Site['listing'],
  builder: ContentBuilder,
  heads: SiteHeads,
): PlacedFile[] {
  const files: PlacedFile[] = []
  for (const found of tree.files) {
    if (found.status === 200) {
      files.push(placeFile(found, builder, heads))
      continue
    }
    const image = builder.statusImage(heads.site, found.status)
    const variant = builder.addVariant(image, image)
    for (const path of found.paths) builder.addPath(heads.site, path, [variant])
  }
  for (const { path, name } of tree.redirects) placeRedirect(path, name, builder, heads)
  if (kind !== 'off')
    for (const listing of tree.listings) placeListing(kind, listing, builder, heads)
  return files
}

function placeFile(found: FoundFile, builder: ContentBuilder, heads: SiteHeads): PlacedFile {
  const fields = fieldsOf(heads.rules, found.paths)
  const byCoding: number[] = []
  const place = (
    coding: CodingName | undefined,
    source: FoundCoding['source'],
    state: FileState,
  ) => {
    const { answer, revalidated } = headsOf(found, fields, heads, coding, state)
    const isMade = 'body' in source
    const image = builder.addImage(answer, isMade ? source.body : state.size)
    const notModified = builder.addImage(revalidated, 0)
    const etag = isMade ? source.etag : ''
    const variant = builder.addVariant(image, notModified, modifiedSec(state, heads), etag)
    byCoding[coding === undefined ? IDENTITY : CODING_INDEX[coding]] = variant
    return { variant, image, notModified, coding, source, state }
  }
  const variants = [
    place(undefined, { file: found.file }, found.state),
    ...found.codings.map(({ coding, source, state }) => place(coding, source, state)),
  ]
  const resources = found.paths.map(path => builder.addPath(heads.site, path, byCoding))
  return { found, heads, fields, resources, variants }
}

/** Heads of a file's 200 and 304 answers in a coding, now that it is as `state` says. */
export function headsOf(
  found: FoundFile,
  fields: RuleFields,
  heads: SiteHeads,
  coding: CodingName | undefined,
  state: FileState,
): { answer: Head; revalidated: Head } {
  const of: Representation = {
    type: contentType(found.name),
    size: state.size,
    lastModified: modifiedSec(state, heads),
    coding,
    varies: found.codings.length > 0,
    serverName: heads.serverName,
    fields,
  }
  return {
    answer: checkHead(fileHead(of), found.paths[0]),
    revalidated: checkHead(notModifiedHead(of), found.paths[0]),
  }
}

/** Its modification time as it is told: 0 if it is none, and never in the future. */
export function modifiedSec({ mtimeMs }: FileState, { nowSec }: SiteHeads): number {
  return Math.min(Math.max(Math.floor(mtimeMs / 1000), 0), nowSec)
}

/** A head that an image may have; throws the StartError that says what to shorten. */
function checkHead(head: Head, path: string): Head {
  const { length } = head.text
  if (head.typeOff > HEAD_ROOM) throw new StartError(warning(path, 'the Server field is too long'))
  if (length <= HEAD_LEN_MAX) return head
  throw new StartError(
    `${warning(path, `its answer's head has ${length} bytes, the limit is ${HEAD_LEN_MAX}`)}; ` +
      'shorten the headers of the rules that match it',
  )
}

/** A page made of what the scan found. It has no time of its own: what it lists has. */
function placeListing(
  kind: 'html' | 'json',
  { path, files, folders }: FoundListing,
  builder: ContentBuilder,
  { site, serverName, rules }: SiteHeads,
): void {
  const { type, body } = makeListing(kind, path, [
    ...folders.map(({ name, mtimeMs }) => ({ name, isFolder: true, size: 0, mtimeMs })),
    ...files
      .filter(({ name, status }) => status === 200 && !name.startsWith('.'))
      .map(({ name, state }) => ({ name, isFolder: false, ...state })),
  ])
  const of: Representation = {
    type,
    size: body.length,
    lastModified: 0,
    coding: undefined,
    varies: false,
    serverName,
    fields: fieldsOf(rules, [path]),
  }
  const image = builder.addImage(checkHead(fileHead(of), path), body)
  const notModified = builder.addImage(checkHead(notModifiedHead(of), path), 0)
  builder.addPath(site, path, [builder.addVariant(image, notModified, 0, etagOf(body))])
}

function placeRedirect(
  path: string,
  name: string,
  builder: ContentBuilder,
  { site, serverName, rules, onWarning }: SiteHeads,
): void {
  const head = redirectHead(name, serverName, fieldsOf(rules, [path]))
  if (head.text.length > HEAD_LEN_MAX) {
    onWarning(warning(path, 'a name too long to redirect to; only its form with "/" is served'))
    return
  }
  const image = builder.addImage(head, 0)
  builder.addPath(site, path, [builder.addVariant(image, image)])
}
