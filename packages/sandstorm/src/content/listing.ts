/**
 * What a folder without an index answers with, if its site wants it (site.ts: listing): a page or
 * JSON, made once, at load. All links are relative, so the page is right under any authority and
 * prefix.
 *
 * Invariant: a name reaches HTML only through `escapeHtml` and a link only through `linkTo`.
 */

export interface ListedEntry {
  readonly name: string
  readonly isFolder: boolean
  /** Bytes; 0 for a folder. */
  readonly size: number
  /** Since 1970; 0: not known. */
  readonly mtimeMs: number
}

export interface Listing {
  readonly type: string
  readonly body: Uint8Array
}

/** The listing of the folder at `path`, which ends in a slash. */
export function makeListing(
  kind: 'html' | 'json',
  path: string,
  entries: readonly ListedEntry[],
): Listing {
  const sorted = entries.toSorted(
    (a, b) => Number(b.isFolder) - Number(a.isFolder) || (a.name < b.name ? -1 : 1),
  )
  return kind === 'json'
    ? { type: 'application/json; charset=utf-8', body: Buffer.from(jsonListing(sorted)) }
    : { type: 'text/html; charset=utf-8', body: Buffer.from(htmlListing(path, sorted)) }
}

function jsonListing(entries: readonly ListedEntry[]): string {
  const list = entries.map(({ name, isFolder, size, mtimeMs }) => ({
    name,
    type: isFolder ? 'directory' : 'file',
    ...(isFolder ? {} : { size }),
    ...(isTime(mtimeMs) ? { mtime: isoTime(mtimeMs) } : {}),
  }))
  return `${JSON.stringify(list)}\n`
}

const STYLE =
  ':root{color-scheme:light dark}body{font:1rem/1.6 system-ui,sans-serif;max-width:50rem;' +
  'margin:2rem auto;padding:0 1rem}h1{font-size:1.25rem;overflow-wrap:anywhere}' +
  'table{border-collapse:collapse;width:100%}td{padding:.1rem .5rem;border-top:1px solid #8884}' +
  'td:first-child{overflow-wrap:anywhere}td+td{text-align:right;white-space:nowrap;opacity:.7}' +
  'a{text-decoration:none}a:hover{text-decoration:underline}'

function htmlListing(path: string, entries: readonly ListedEntry[]): string {
  const up = path === '/' ? [] : [row('../', '../', '', '')]
  const rows = entries.map(({ name, isFolder, size, mtimeMs }) => {
    const slash = isFolder ? '/' : ''
    const time = isTime(mtimeMs) ? isoTime(mtimeMs).slice(0, 16).replace('T', ' ') : ''
    return row(linkTo(name) + slash, name + slash, isFolder ? '' : sizeText(size), time)
  })
  const title = escapeHtml(path)
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">',
    `<title>${title}</title>`,
    `<style>${STYLE}</style></head>`,
    `<body><h1>${title}</h1>`,
    '<table>',
    ...up,
    ...rows,
    '</table></body></html>',
    '',
  ].join('\n')
}

function row(href: string, text: string, size: string, time: string): string {
  const link = `<a href="${href}">${escapeHtml(text)}</a>`
  return `<tr><td>${link}</td><td>${size}</td><td>${time}</td></tr>`
}

/** "./" keeps a colon in the name from being read as a scheme (RFC 3986 §4.2). */
function linkTo(name: string): string {
  // An apostrophe stays as it is, and ends no attribute: ours are in double quotes.
  return `./${encodeURIComponent(name)}`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, char => ENTITIES[char])
}

/** Is it known, and one that a Date can be? */
const isTime = (ms: number): boolean => ms > 0 && ms <= 8.64e15

/** In whole seconds. */
const isoTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

function sizeText(bytes: number): string {
  let unit = 0
  let size = bytes
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024
  return `${unit === 0 || size >= 10 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`
}
