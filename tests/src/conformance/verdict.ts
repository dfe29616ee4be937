/**
 * Holds what happened against what was expected: for each row how the two targets did, and for the
 * whole matrix what is wrong: an unexpected result, an explanation that is missing, or one that
 * explains nothing any more.
 */
import { PENDING } from './pending.ts'
import type { Requirement, Section } from './requirement.ts'
import type { Outcome } from './runCase.ts'
import { SECTIONS } from './sections.ts'

export type Result = 'pass' | 'FAIL' | 'pending' | 'deviates' | 'not applicable' | 'not run'

export interface Row {
  readonly requirement: Requirement
  readonly ours: Result
  readonly linux: Result
  /** Facts that the targets do not share: name, ours, Linux's. */
  readonly facts: readonly (readonly [string, string, string])[]
}

/** What was run. Without `linux` only our own side is judged. */
export interface Evidence {
  readonly ours: ReadonlyMap<string, Outcome>
  readonly tests: ReadonlyMap<string, boolean>
  readonly linux?: ReadonlyMap<string, Outcome>
}

/** Something is other than the matrix says: in the row of this text, or in no row at all (''). */
export interface Problem {
  readonly text: string
  readonly what: string
}

export interface Verdict {
  readonly sections: readonly (readonly [Section, readonly Row[]])[]
  readonly problems: readonly Problem[]
}

export function judge(evidence: Evidence): Verdict {
  const problems: Problem[] = [...problemsOfTheText()].map(what => ({ text: '', what }))
  const sections = SECTIONS.map(section => {
    const rows = section.requirements.map(requirement => judgeRow(requirement, evidence, problems))
    return [section, rows] as const
  })
  return { sections, problems }
}

function judgeRow(requirement: Requirement, evidence: Evidence, problems: Problem[]): Row {
  const { text, deviates, differs } = requirement
  const complain = (what: string): void => {
    problems.push({ text, what })
  }
  const ours = judgeOurs(requirement, evidence, complain)
  const linux = judgeLinux(requirement, evidence, complain)
  const facts = differentFacts(requirement, evidence)
  if (evidence.linux !== undefined && requirement.run !== undefined) {
    const explained = differs ?? deviates?.linux ?? deviates?.ours ?? PENDING[text]
    if (facts.length > 0 && explained === undefined) complain(`unexplained: ${facts.join('; ')}`)
    if (facts.length === 0 && differs !== undefined)
      complain('nothing differs that `differs` explains')
  }
  return { requirement, ours, linux, facts }
}

type Complain = (what: string) => void

function judgeOurs(requirement: Requirement, evidence: Evidence, complain: Complain): Result {
  const { text, run, tests, notApplicable, deviates } = requirement
  if (notApplicable !== undefined) return 'not applicable'
  const outcome = run === undefined ? undefined : evidence.ours.get(text)
  const missing = (tests ?? []).filter(reference => evidence.tests.get(reference) !== true)
  const passed = outcome?.passed !== false && missing.length === 0
  const why = [...missing.map(reference => `no such passing test: ${reference}`), outcome?.message]
    .filter(Boolean)
    .join('\n')
  if (text in PENDING) {
    if (passed) complain('passes: take it out of pending.ts')
    return 'pending'
  }
  if (deviates?.ours !== undefined) {
    if (outcome?.passed === true) complain('passes, although we are said to deviate')
    if (missing.length > 0) complain(why)
    return 'deviates'
  }
  if (!passed) complain(`ours: ${why}`)
  return passed ? 'pass' : 'FAIL'
}

function judgeLinux(requirement: Requirement, evidence: Evidence, complain: Complain): Result {
  const { text, run, notApplicable, notOnLinux, deviates } = requirement
  if (notApplicable !== undefined) return 'not applicable'
  if (run === undefined || notOnLinux !== undefined || evidence.linux === undefined)
    return 'not run'
  const outcome = evidence.linux.get(text)
  if (deviates?.linux !== undefined) {
    if (outcome?.passed !== false) complain('passes on Linux, although it is said to deviate')
    return 'deviates'
  }
  if (outcome?.passed !== true) complain(`Linux: ${outcome?.message ?? 'no outcome'}`)
  return outcome?.passed === true ? 'pass' : 'FAIL'
}

function differentFacts({ text }: Requirement, evidence: Evidence): [string, string, string][] {
  const ours = evidence.ours.get(text)?.facts ?? {}
  const linux = evidence.linux?.get(text)?.facts
  if (linux === undefined) return []
  const names = new Set([...Object.keys(ours), ...Object.keys(linux)])
  const say = (value: unknown): string => (value === undefined ? '–' : JSON.stringify(value))
  return [...names]
    .map((name): [string, string, string] => [name, say(ours[name]), say(linux[name])])
    .filter(([, a, b]) => a !== b)
}

/** The requirements that RFC 9293 numbers (Appendix B): how many of each kind there are. */
const NUMBERED = { MUST: 69, SHLD: 31, MAY: 18 }

/** What is wrong with the rows themselves, whatever happens when they are run. */
function* problemsOfTheText(): Generator<string> {
  const all = SECTIONS.flatMap(section => section.requirements)
  const texts = all.map(({ text }) => text)
  for (const text of new Set(texts)) {
    if (texts.indexOf(text) !== texts.lastIndexOf(text)) yield `twice: “${text}”`
  }
  for (const text of Object.keys(PENDING)) {
    if (!texts.includes(text)) yield `pending.ts has no such row: “${text}”`
  }
  for (const { text, run, tests, notApplicable, deviates } of all) {
    const shown = run ?? tests ?? notApplicable ?? deviates?.ours
    if (shown === undefined) yield `nothing shows “${text}”`
  }
  const ids = new Set(all.flatMap(({ id }) => id.match(/\b(MUST|SHLD|MAY)-\d+\b/g) ?? []))
  for (const [kind, count] of Object.entries(NUMBERED)) {
    for (let n = 1; n <= count; n++) {
      if (!ids.has(`${kind}-${n}`)) yield `${kind}-${n} of RFC 9293 is in no row`
    }
  }
}
