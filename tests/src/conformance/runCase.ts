/** Runs one case against one target, and says how it went. */

import { Mismatch, Probe } from './probe.ts'
import type { Requirement } from './requirement.ts'
import type { Target } from './target.ts'

export interface Outcome {
  readonly passed: boolean
  /** Why not; '' if it passed. */
  readonly message: string
  /** What the case noted. */
  readonly facts: Record<string, unknown>
  readonly ms: number
}

export async function runCase(requirement: Requirement, target: Target): Promise<Outcome> {
  const started = performance.now()
  const probe = new Probe(target, seedOf(requirement.text))
  let message = ''
  try {
    if (requirement.setup?.stranger !== true) await probe.introduce(requirement.setup?.ipv6)
    await requirement.run?.(probe)
  } catch (error) {
    message = error instanceof Mismatch ? error.message : textOf(error)
  }
  target.close()
  const ms = Math.round(performance.now() - started)
  return { passed: message === '', message, facts: probe.facts, ms }
}

/** FNV-1a: every case has numbers of its own, the same on every target and in every run. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)
