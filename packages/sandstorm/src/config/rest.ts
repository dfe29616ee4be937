/**
 * What is left of a configuration file without all that the schema found wrong: it can be looked at
 * further, so that other problems are told at once. What follows from a gap alone is none.
 */
import type { FileProblem, KeyPath } from './fileProblem.ts'

/** Is `key` at `path`, or below? */
const isWithin = (key: KeyPath, path: KeyPath): boolean => path.every((part, i) => key[i] === part)

/** `data` without the keys, of the file and of its sites, that have problems or hold what has. */
export function restOf(data: unknown, wrong: readonly FileProblem[]): unknown {
  if (typeof data !== 'object' || data === null) return {}
  const isWrong = (path: KeyPath): boolean => wrong.some(({ key }) => isWithin(key, path))
  const right = (table: object, at: KeyPath): object =>
    Object.fromEntries(Object.entries(table).filter(([name]) => !isWrong([...at, name])))
  const { sites, ...others } = data as { readonly sites?: unknown }
  if (!Array.isArray(sites)) return right(others, [])
  const rightSites = sites.map((site, i) => {
    // The files of a site are looked for below its root.
    const hasFiles = typeof site === 'object' && site !== null && !isWrong(['sites', i, 'root'])
    return hasFiles ? right(site, ['sites', i]) : {}
  })
  return { ...right(others, []), sites: rightSites }
}

/** Those of `found` that are not of a table with a gap: what is missing there was wrong. */
export function newProblems(
  found: readonly FileProblem[],
  wrong: readonly FileProblem[],
): FileProblem[] {
  return found.filter(({ key }) => !wrong.some(one => isWithin(one.key, key)))
}
