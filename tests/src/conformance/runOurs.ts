/** Runs all cases against our own stack, one after the other, each with a target of its own. */
import { OurTarget } from './ours.ts'
import { type Outcome, runCase } from './runCase.ts'
import { SECTIONS } from './sections.ts'

/** Outcomes by the text of the requirement. `only`: a pattern for its text. */
export async function runOurs(only = ''): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  for (const requirement of SECTIONS.flatMap(section => section.requirements)) {
    if (requirement.run === undefined || !new RegExp(only).test(requirement.text)) continue
    outcomes.set(requirement.text, await runCase(requirement, new OurTarget(requirement.setup)))
  }
  return outcomes
}
