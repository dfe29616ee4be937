/**
 * `npm run conformance`: runs every case on both targets and the unit tests that the matrix names,
 * writes docs/conformance.md, and ends with code 1 if anything is other than the matrix says.
 * Needs root and /dev/net/tun for Linux's side. An argument is a pattern for the text of the cases:
 * then only those are run, and nothing is written.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../kit/server.ts'
import { runOnLinux } from './linuxRun.ts'
import { matrix } from './matrix.ts'
import { PENDING } from './pending.ts'
import { runOurs } from './runOurs.ts'
import { runUnitTests } from './unitTests.ts'
import { judge } from './verdict.ts'

const only = process.argv[2]

if (only === undefined) await everything()
else await some(only)

async function everything(): Promise<void> {
  const linux = await runOnLinux()
  const evidence = { linux, ours: await runOurs(), tests: await runUnitTests() }
  const verdict = judge(evidence)
  writeFileSync(join(ROOT, 'docs/conformance.md'), matrix(verdict))
  for (const { text, what } of verdict.problems) console.error(`\n✗ ${text}: ${what}`)
  const pending = Object.entries(PENDING)
  if (pending.length > 0) console.error(`\n${pending.length} PENDING:`)
  for (const [text, missing] of pending) console.error(`  ${text}: ${missing}`)
  const rows = verdict.sections.flatMap(([, rows]) => rows)
  const count = (side: 'ours' | 'linux', result: string): number =>
    rows.filter(row => row[side] === result).length
  for (const side of ['ours', 'linux'] as const) {
    const results = new Set(rows.map(row => row[side]))
    const counts = [...results].map(result => `${count(side, result)} ${result}`)
    console.log(`${side}: ${counts.join(', ')}`)
  }
  process.exitCode = verdict.problems.length === 0 ? 0 : 1
}

async function some(pattern: string): Promise<void> {
  const linux = await runOnLinux(pattern)
  const ours = await runOurs(pattern)
  for (const [text, outcome] of ours) {
    console.log(`${text}\n  ours:  ${outcome.passed ? 'pass' : outcome.message} ${outcome.ms} ms`)
    const theirs = linux.get(text)
    if (theirs !== undefined) {
      console.log(`  Linux: ${theirs.passed ? 'pass' : theirs.message} ${theirs.ms} ms`)
    }
    console.log(`  facts: ${JSON.stringify(outcome.facts)} ${JSON.stringify(theirs?.facts)}`)
  }
}
