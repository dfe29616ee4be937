/**
 * Which cases share a namespace and a process: those that want the same kernel settings, and of
 * these those that mostly wait, apart from those that are over soon and want to be undisturbed.
 */
import type { Requirement } from './requirement.ts'
import { SECTIONS } from './sections.ts'

export interface Group {
  readonly sysctl: Readonly<Record<string, string>>
  /** How many run at a time. */
  readonly sideBySide: number
  readonly requirements: Requirement[]
}

/** Cases that wait are all under way at once; of the others few, or an answer would be late. */
const SIDE_BY_SIDE = 3

/** All groups, always in the same order. */
export function groupsForLinux(): Group[] {
  const groups = new Map<string, Group>()
  for (const requirement of SECTIONS.flatMap(section => section.requirements)) {
    if (requirement.run === undefined || requirement.notOnLinux !== undefined) continue
    const sysctl = requirement.setup?.sysctl ?? {}
    const key = JSON.stringify([sysctl, requirement.long])
    const sideBySide = requirement.long ? 250 : SIDE_BY_SIDE
    const group = groups.get(key) ?? { sysctl, sideBySide, requirements: [] }
    groups.set(key, group)
    group.requirements.push(requirement)
  }
  return [...groups.values()]
}
