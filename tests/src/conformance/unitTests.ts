/**
 * Runs the unit tests that the matrix names, and says which of them there are and passed. A name in
 * the matrix is a claim; here it is checked.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from '../kit/command.ts'
import { ROOT } from '../kit/server.ts'
import type { Ran } from './reporter.ts'
import { SECTIONS } from './sections.ts'

const REPORTER = join(import.meta.dirname, 'reporter.js')

/** `packages/libtcpip/test/rtt.test.ts: its name`. */
export function splitReference(reference: string): { file: string; name: string } {
  const colon = reference.indexOf(': ')
  return { file: reference.slice(0, colon), name: reference.slice(colon + 2) }
}

const compiled = (file: string): string =>
  join(ROOT, file.replace(/^(packages\/\w+)\/test\/(.*)\.ts$/, '$1/dist/test/$2.js'))

/**
 * A test is where `test` was called: in the file itself, or for a family of tests in the kit beside
 * it.
 */
const isOf = (ran: string, file: string): boolean =>
  compiled(file).endsWith(ran) || join(dirname(compiled(file)), 'kit') === dirname(join(ROOT, ran))

const pattern = (name: string): string => `^${name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`

/** Of every reference whether it holds: there is such a test, and it passed. */
export async function runUnitTests(): Promise<Map<string, boolean>> {
  const references = new Set(
    SECTIONS.flatMap(section => section.requirements).flatMap(({ tests }) => tests ?? []),
  )
  const named = [...references].map(splitReference).filter(({ file }) => existsSync(compiled(file)))
  const ran = await runFiles(named)
  const holds = new Map<string, boolean>()
  for (const reference of references) {
    const { file, name } = splitReference(reference)
    const found = ran.filter(test => isOf(test.file, file) && test.name === name)
    holds.set(reference, found.length > 0 && found.every(test => test.passed))
  }
  return holds
}

/** Runs the named tests of all these files (and their namesakes in another). */
async function runFiles(references: { file: string; name: string }[]): Promise<Ran[]> {
  if (references.length === 0) return []
  const files = new Set(references.map(({ file }) => compiled(file)))
  const patterns = new Set(references.map(({ name }) => `--test-name-pattern=${pattern(name)}`))
  // With the variable that a test's process has, the runner would run nothing.
  const node = ['env', '-u', 'NODE_TEST_CONTEXT', process.execPath]
  const argv = [...node, '--test', `--test-reporter=${REPORTER}`, ...patterns, ...files]
  const { stdout } = await run(argv, { limitMs: 300_000 })
  const lines = stdout.split('\n').filter(line => line.startsWith('{'))
  return lines.map(line => JSON.parse(line) as Ran)
}
