/**
 * Header rules (site.ts: Rule): checked by whoever reads the configuration, compiled once at load,
 * and asked for each file which fields its heads get.
 *
 * Invariant: what passes `checkRuleHeaders` cannot break the framing of an answer or start a line
 * of its own (RFC 9110 §5.1, §5.5).
 */
import { compileGlob, type Glob } from './glob.ts'
import { headerProblem } from './ruleHeaders.ts'
import type { Rule } from './site.ts'

/** A field as a rule writes it; '' takes it out. */
export interface RuleField {
  readonly name: string
  readonly value: string
}

/** What rules say, by lower-case name. */
export type RuleFields = ReadonlyMap<string, RuleField>

export const NO_FIELDS: RuleFields = new Map()

/** Throws an Error that says what is wrong with the `headers` of a rule, if something is. */
export function checkRuleHeaders(headers: Readonly<Record<string, string>>): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const problem = seen.has(name.toLowerCase()) ? 'given twice' : headerProblem(name, value)
    if (problem !== '') throw new Error(`${name}: ${problem}`)
    seen.add(name.toLowerCase())
  }
}

export interface CompiledRule {
  readonly glob: Glob
  readonly headers: Rule['headers']
}

/** Throws an Error that names the rule, if one is none. */
export function compileRules(rules: readonly Rule[]): CompiledRule[] {
  return rules.map(({ match, headers }) => {
    try {
      checkRuleHeaders(headers)
      return { glob: compileGlob(match), headers }
    } catch (error) {
      throw new Error(`rule ${JSON.stringify(match)}: ${(error as Error).message}`)
    }
  })
}

/**
 * The fields of a file that answers to `paths`: of rules that match one of them, the last decides.
 */
export function fieldsOf(rules: readonly CompiledRule[], paths: readonly string[]): RuleFields {
  let fields: Map<string, RuleField> | undefined
  for (const { glob, headers } of rules) {
    if (!paths.some(glob)) continue
    fields ??= new Map()
    for (const [name, value] of Object.entries(headers)) {
      fields.set(name.toLowerCase(), { name, value })
    }
  }
  return fields ?? NO_FIELDS
}
