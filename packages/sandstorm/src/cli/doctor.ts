/**
 * `sandstorm doctor`: what this machine can do, what is missing, and the exact command that mends
 * it. Exit code 0: serving over a TAP is possible; 1: only the kernel device is.
 */
import { koffiProblem, type NicFacts, nicFacts } from '@sandstorm/libnmio'
import { type Check, type CheckFunction, checksOf, type Machine, thisMachine } from './checks.ts'
import { nicChecks } from './nicChecks.ts'

/** Do system calls work? Our stack reaches devices through koffi, which libnmio alone loads. */
const checkKoffi: CheckFunction = () => {
  const problem = koffiProblem()
  const fix = problem === '' ? '' : 'npm ci, or npm install (without --omit=optional)'
  const detail = problem === '' ? 'loads: system calls can be made' : problem
  return { name: 'koffi', state: problem === '' ? 'ok' : 'missing', detail, fix }
}

const LIBRARY_CHECKS: readonly CheckFunction[] = [checkKoffi]

/** Prints the table and the verdict; returns the exit code. */
export async function doctor(
  print: (line: string) => void,
  machine: Machine = thisMachine,
  extra: readonly CheckFunction[] = LIBRARY_CHECKS,
  nics: readonly NicFacts[] = nicFacts(),
): Promise<number> {
  const checks: Check[] = []
  const all = [...checksOf(machine, extra), ...nicChecks(machine, nics)]
  for (const check of all) checks.push(await check())
  for (const line of formatChecks(checks)) print(line)
  const missing = checks.filter(check => check.state === 'missing').length
  print('')
  if (missing === 0) {
    print('Serving over a TAP, with our own network stack, is possible: sandstorm serve DIR')
    return 0
  }
  print('Only the kernel device is possible as things are: sandstorm serve DIR --device kernel')
  return 1
}

/** One line a check, aligned; below it the command that mends it. */
export function formatChecks(checks: readonly Check[]): string[] {
  const width = Math.max(...checks.map(check => check.name.length))
  const indent = ' '.repeat('missing  '.length + width + 2)
  return checks.flatMap(({ name, state, detail, fix }) => [
    `${state.padEnd('missing  '.length)}${name.padEnd(width + 2)}${detail}`,
    ...(fix === '' ? [] : [`${indent}mend: ${fix}`]),
  ])
}
