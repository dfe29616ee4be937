/** The part of the schema that describes a site and its rules (site/site.ts). */
import type * as Zod from 'zod'
import { headerProblem } from '../site/ruleHeaders.ts'
import { plainSite } from '../site/site.ts'
import { globProblem } from './globProblem.ts'
import { HOST_EXPECTED, normalHost } from './hosts.ts'
import type { KeyMaker, Refusal } from './keys.ts'
import { originSchema } from './originSchema.ts'
import { FOLDER_EXPECTED } from './paths.ts'
import { CACHE_CONTROL_EXPECTED, CODINGS, CORS_EXPECTED, isOrigin, LISTINGS } from './siteFlags.ts'

const HEADERS_EXPECTED = 'field names with printable values, "" to leave a field out'
const GLOB_EXPECTED = 'a glob like *.css or /assets/**'
const PAGES_EXPECTED = 'files by the status of an error, like "404" = "/404.html"'

export function siteSchema(z: typeof Zod, key: KeyMaker): Zod.ZodType {
  const { index, serverName } = plainSite('')
  const rules = z.array(ruleSchema(z, key), { error: 'a list of rules' })
  const compress = z.array(z.enum(CODINGS, { error: CODINGS.join(', ') }), {
    error: `a list of ${CODINGS.join(', ')}`,
  })
  return z.strictObject(
    {
      hosts: hostsSchema(z, key),
      root: key.text('the folder', FOLDER_EXPECTED, 'needed, unless there is an origin'),
      origin: originSchema(z, key),
      index: indexSchema(z, key, index.join(', ')),
      listing: key.choice('what a folder without an index answers with', LISTINGS, 'off'),
      cleanUrls: key.flag('/about is answered with about.html', 'false'),
      fallback: key.text(
        'the file that answers for paths that name nothing: a single-page application',
        'a file below root, like /index.html, or ""',
        'none',
      ),
      errorPages: key.described(
        pagesSchema(z),
        'files that are the bodies of error answers',
        'none',
      ),
      precompressed: key.flag('a.css.br (.gz, .zst) is a.css in that coding', 'true'),
      compress: key.described(compress, 'codings that are made at start', 'none'),
      serverName: serverNameSchema(z, key, serverName),
      rules: key.described(rules, 'header fields by path; the last that matches decides', 'none'),
    },
    { error: 'a site: a root, and how it is served' },
  )
}

function hostsSchema(z: typeof Zod, key: KeyMaker): Zod.ZodType {
  const host = key.checked(z.string({ error: HOST_EXPECTED }), text =>
    normalHost(text) === '' ? [{ why: 'not a host name', expected: HOST_EXPECTED }] : [],
  )
  const list = z.array(host, { error: 'a list of host names' })
  return key.described(list, 'names that it answers for', 'the first site: all others')
}

function indexSchema(z: typeof Zod, key: KeyMaker, byDefault: string): Zod.ZodType {
  const expected = 'a file name like index.html'
  const name = z.string({ error: expected }).regex(/^(?!\.{1,2}$)[^/\0]+$/, { error: expected })
  const list = z.array(name, { error: 'a list of file names' })
  return key.described(list, 'files that answer for their folder, best first', byDefault)
}

function pagesSchema(z: typeof Zod): Zod.ZodType {
  const status = z.string().regex(/^[45]\d\d$/, { error: 'a status from 400 to 599' })
  const file = z.string({ error: 'a file below root, like /404.html' })
  return z.record(status, file, { error: PAGES_EXPECTED })
}

function serverNameSchema(z: typeof Zod, key: KeyMaker, byDefault: string): Zod.ZodType {
  const expected = 'text of a header field, or "" for none'
  const name = key.checked(z.string({ error: expected }), text => {
    const why = headerProblem('Server', text)
    return why === '' ? [] : [{ why, expected }]
  })
  return key.described(name, 'the Server field; "": none', byDefault)
}

function ruleSchema(z: typeof Zod, key: KeyMaker): Zod.ZodType {
  const glob = key.checked(z.string({ error: GLOB_EXPECTED }), text => {
    const why = globProblem(text)
    return why === '' ? [] : [{ why, expected: GLOB_EXPECTED }]
  })
  const value = z.string({ error: HEADERS_EXPECTED })
  const headers = key.checked(
    z.record(z.string(), value, { error: HEADERS_EXPECTED }),
    checkHeaders,
  )
  const cacheControl = key.checked(z.string({ error: CACHE_CONTROL_EXPECTED }), text => {
    const why = headerProblem('Cache-Control', text)
    return why === '' ? [] : [{ why, expected: CACHE_CONTROL_EXPECTED }]
  })
  const cors = key.checked(z.string({ error: CORS_EXPECTED }), text =>
    isOrigin(text) ? [] : [{ why: 'not an origin', expected: CORS_EXPECTED }],
  )
  return z.strictObject(
    {
      match: glob.meta({
        description: 'a glob over the path; without a slash, over the last name',
      }),
      headers: key.described(headers, 'fields by name; "" takes one out', 'none'),
      cacheControl: key.described(cacheControl, 'short for the header Cache-Control'),
      cors: key.described(cors, 'short for the header Access-Control-Allow-Origin'),
    },
    { error: 'a rule: match, and headers' },
  )
}

function checkHeaders(headers: Readonly<Record<string, string>>): Refusal[] {
  const names = Object.keys(headers)
  return names.flatMap((name, i) => {
    const isSecond = names.slice(0, i).some(other => other.toLowerCase() === name.toLowerCase())
    const why = isSecond ? 'given twice' : headerProblem(name, headers[name])
    return why === '' ? [] : [{ why, expected: HEADERS_EXPECTED, path: [name] }]
  })
}
