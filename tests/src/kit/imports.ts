/**
 * Reads the imports of TypeScript sources as text: who imports whom, and whether files import in a
 * circle. Enough for code in the house style (static specifiers in quotes), no parser needed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from './server.ts'

/** The packages that exist, by folder name. */
export const PACKAGES: readonly string[] = readdirSync(`${ROOT}packages`)

const IMPORT = /^\s*(?:import|export)\s+(type\s)?[\w\s{},*$]*?\bfrom\s*['"]([^'"]+)['"]/gm
const BARE_IMPORT = /^\s*import\s*()['"]([^'"]+)['"]/gm
const DYNAMIC_IMPORT = /\bimport\s*()\(\s*['"]([^'"]+)['"]/g

/** One import or re-export. Those of types alone leave no trace in the compiled file. */
export interface Import {
  readonly to: string
  readonly typesOnly: boolean
}

/** One TypeScript file: its path from the root of the clone, its text, what it imports. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

/** All `.ts` files below a folder; none if there is no such folder. */
export function sourceFiles(folder: string): SourceFile[] {
  if (!existsSync(`${ROOT}${folder}`)) return []
  return readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => {
      const path = join(folder, name)
      const text = readFileSync(`${ROOT}${path}`, 'utf8')
      return { path, text, imports: importsOf(text) }
    })
}

/** All imports and re-exports in `text`. */
export function importsOf(text: string): Import[] {
  return [IMPORT, BARE_IMPORT, DYNAMIC_IMPORT].flatMap(pattern =>
    Array.from(text.matchAll(pattern), ([, type, to]) => ({ to, typesOnly: Boolean(type) })),
  )
}

/** For each file the files that it needs at run time by a relative path. */
export function fileGraph(files: readonly SourceFile[]): Map<string, string[]> {
  const needed = (path: string, imports: readonly Import[]): string[] =>
    imports
      .filter(({ to, typesOnly }) => isRelative(to) && !typesOnly)
      .map(({ to }) => join(dirname(path), to))
  return new Map(files.map(({ path, imports }) => [path, needed(path, imports)]))
}

export function isRelative(specifier: string): boolean {
  return specifier.startsWith('.')
}

/**
 * The first circle that a depth-first search meets, as a list of its members; [] if there is none.
 */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const way: string[] = []
  const visit = (node: string): string[] => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node]
    if (done.has(node)) return []
    way.push(node)
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next)
      if (cycle.length > 0) return cycle
    }
    way.pop()
    done.add(node)
    return []
  }
  for (const node of graph.keys()) {
    const cycle = visit(node)
    if (cycle.length > 0) return cycle
  }
  return []
}
