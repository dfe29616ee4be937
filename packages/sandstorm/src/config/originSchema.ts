/** The part of the schema that describes a site's origin (origin.ts). */
import type * as Zod from 'zod'
import type { KeyMaker } from './keys.ts'
import type { Measure } from './limits.ts'
import {
  NEGATIVE_MEASURE,
  ORIGIN_KEYS,
  type OriginKey,
  originDefault,
  originPathProblem,
  originUrl,
  PATHS_EXPECTED,
  URL_EXPECTED,
} from './origin.ts'

export function originSchema(z: typeof Zod, key: KeyMaker): Zod.ZodType {
  const url = key.checked(z.string({ error: URL_EXPECTED }), text =>
    originUrl(text) === '' ? [{ why: 'not the URL of an origin', expected: URL_EXPECTED }] : [],
  )
  const path = key.checked(z.string({ error: PATHS_EXPECTED }), text => {
    const why = originPathProblem(text)
    return why === '' ? [] : [{ why, expected: PATHS_EXPECTED }]
  })
  const paths = z.array(path, { error: PATHS_EXPECTED })
  const origin = z.strictObject(
    {
      url: url.meta({ description: 'where it is' }),
      paths: key.described(
        paths,
        'what it is asked for, whatever the folder has, and nothing else',
        'what no file answers',
      ),
      folder: key.text('where stored answers outlive the process', 'a folder of its own', 'none'),
      ...Object.fromEntries(
        Object.entries(ORIGIN_KEYS).map(([name, one]) => [name, keySchema(key, one)]),
      ),
      negative: key.described(
        negativeSchema(z, key),
        'freshness by status, where the origin says nothing, like "404" = "10s"',
        'none',
      ),
    },
    { error: 'an origin: its url, and how it is asked' },
  )
  return key.described(origin, 'who answers what the folder does not have; through a cache')
}

function keySchema(key: KeyMaker, one: OriginKey): Zod.ZodType {
  const byDefault = originDefault(one)
  if (one.kind === 'flag') return key.flag(one.description, String(byDefault === 1))
  return key.measure(one as Measure, byDefault)
}

function negativeSchema(z: typeof Zod, key: KeyMaker): Zod.ZodType {
  const status = z.string().regex(/^[2-5]\d\d$/, { error: 'a status from 200 to 599' })
  return z.record(status, key.measure(NEGATIVE_MEASURE), {
    error: 'times by status, like "404" = "10s"',
  })
}
