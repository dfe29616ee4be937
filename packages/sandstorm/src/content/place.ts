/**
 * What a site answers with, worked out from what was found and not yet stored: heads for each
 * coding of each file, the redirects to folders, listings, and an answer for each status.
 *
 * A file has one head for all of its paths, since its body lies behind it; so a rule that matches
 * one of them holds for all.
 */
import { type CompiledRule, fieldsOf, type RuleFields } from '../site/rules.ts'
import type { CodingName, Site } from '../site/site.ts'
import { StartError } from '../startError.ts'
import { fileKey, type HeadBasis } from './catalog.ts'
import { BR, GZIP, ZSTD } from './content.ts'
import type { Draft } from './draft.ts'
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
  readonly settings: Site
  readonly serverName: string
  readonly rules: readonly CompiledRule[]
  /** When loading began: nothing was modified later (RFC 9110 §8.8.2.1). */
  readonly nowSec: number
  readonly onWarning: (line: string) => void
}

/** A 200 and a 304, but for their entity tag, and what they were made of. */
export interface FileHeads {
  readonly basis: HeadBasis
  readonly answer: Head
  readonly revalidated: Head
}

/** A file in one coding. */
export class PlacedVariant implements FileHeads {
  /** In the catalog. */
  readonly key: string
  readonly coding: CodingName | undefined
  /** The file with these bytes, or where they came from if they are there already. */
  readonly source: FoundCoding['source']
  readonly state: FileState
  readonly basis: HeadBasis
  readonly #file: PlacedFile
  #heads: FileHeads | undefined

  constructor(
    file: PlacedFile,
    coding: CodingName | undefined,
    source: FoundCoding['source'],
    state: FileState,
  ) {
    const { found, heads } = file
    this.key = fileKey(heads.site, found.paths[0], coding ?? '')
    this.coding = coding
    this.source = source
    this.state = state
    this.basis = basisOf(found, heads, state)
    this.#file = file
  }

  get answer(): Head {
    return this.made.answer
  }

  get revalidated(): Head {
    return this.made.revalidated
  }

  /** Its heads; throws the StartError that says what to shorten. */
  get made(): FileHeads {
    this.#heads ??= headsOf(this.#file, this.coding, this.state)
    return this.#heads
  }
}

export class PlacedFile {
  readonly found: FoundFile
  readonly heads: SiteHeads
  /** That of identity is the first. */
  readonly variants: readonly PlacedVariant[]
  #fields: RuleFields | undefined

  constructor(found: FoundFile, heads: SiteHeads) {
    this.found = found
    this.heads = heads
    this.variants = [
      new PlacedVariant(this, undefined, { file: found.file }, found.state),
      ...found.codings.map(
        ({ coding, source, state }) => new PlacedVariant(this, coding, source, state),
      ),
    ]
  }

  get fields(): RuleFields {
    this.#fields ??= fieldsOf(this.heads.rules, this.found.paths)
    return this.#fields
  }
}

/** An answer whose bytes are there. */
export interface PlacedPage {
  readonly path: string
  readonly answer: Head
  readonly body: Uint8Array
  /** With its entity tag, if it has one. */
  readonly revalidated: Head | undefined
  readonly etag: string
}

/**
 * A file with its heads, which are not made if those that `draft` has from before are of the same:
 * of 20,000 files that did not change a look takes 340 to 420 ms of CPU, and 660 to 670 if all are
 * made (medians of 7: packages/sandstorm/test/measureRescan.ts, 2026-11-28, 2 virtual cores of a
 * busy machine). Throws as `made` does.
 */
export function placeFile(found: FoundFile, heads: SiteHeads, draft: Draft): PlacedFile {
  const file = new PlacedFile(found, heads)
  for (const variant of file.variants) {
    const { key, state, basis } = variant
    // Made now: a head that is too long is to be told before anything is read.
    if (!draft.hasHeadsOf(key, state, basis)) void variant.made
  }
  return file
}

function basisOf(found: FoundFile, heads: SiteHeads, state: FileState): HeadBasis {
  const { paths } = found
  return {
    site: heads.settings,
    lastModified: modifiedSec(state, heads),
    varies: found.codings.length > 0,
    otherPaths: paths.length === 1 ? '' : paths.slice(1).join('\0'),
  }
}

/** Heads of a file's 200 and 304 answers in a coding, if it is as `state` says. */
export function headsOf(
  { found, fields, heads }: PlacedFile,
  coding: CodingName | undefined,
  state: FileState,
): FileHeads {
  const basis = basisOf(found, heads, state)
  const { lastModified, varies } = basis
  const of: Representation = {
    type: contentType(found.name),
    size: state.size,
    lastModified,
    coding,
    varies,
    serverName: heads.serverName,
    fields,
  }
  return {
    basis,
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

/** Redirects to folders, and listings if the site has them. */
export function placePages(
  tree: FoundTree,
  kind: Site['listing'],
  heads: SiteHeads,
): readonly PlacedPage[] {
  const redirects = tree.redirects.flatMap(({ path, name }) => placeRedirect(path, name, heads))
  if (kind === 'off') return redirects
  return [...redirects, ...tree.listings.map(listing => placeListing(kind, listing, heads))]
}

/** A page made of what the scan found. It has no time of its own: what it lists has. */
function placeListing(
  kind: 'html' | 'json',
  { path, files, folders }: FoundListing,
  { serverName, rules }: SiteHeads,
): PlacedPage {
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
  const answer = checkHead(fileHead(of), path)
  const revalidated = checkHead(notModifiedHead(of), path)
  return { path, answer, body, revalidated, etag: etagOf(body) }
}

function placeRedirect(
  path: string,
  name: string,
  { serverName, rules, onWarning }: SiteHeads,
): PlacedPage[] {
  const answer = redirectHead(name, serverName, fieldsOf(rules, [path]))
  if (answer.text.length > HEAD_LEN_MAX) {
    onWarning(warning(path, 'a name too long to redirect to; only its form with "/" is served'))
    return []
  }
  return [{ path, answer, body: new Uint8Array(), revalidated: undefined, etag: '' }]
}
