/**
 * A row of the conformance matrix: what a standard asks, how it is shown, and what is expected of
 * the two targets. The generator (main.ts) writes docs/conformance.md from these rows and from what
 * really happened; nothing here is taken on trust.
 */
import type { Probe } from './probe.ts'
import type { Setup } from './target.ts'

export interface Requirement {
  /** `MUST-13` for what RFC 9293 numbers (several with commas), else a word of its own. */
  readonly id: string
  readonly level: 'MUST' | 'SHOULD' | 'MAY'
  /** `RFC 9293 §3.6.1`. */
  readonly rfc: string
  /** What is asked, as a sentence; also the name of the row. */
  readonly text: string
  /** Shows it from outside, on any target; throws when it finds something else. */
  readonly run?: (probe: Probe) => Promise<void>
  readonly setup?: Setup
  /** It waits for seconds in real time, and does little meanwhile. */
  readonly long?: true
  /** Unit tests that show it too, or instead: `packages/libtcpip/test/rtt.test.ts: its name`. */
  readonly tests?: readonly string[]
  /** Why this is not asked of a server like ours; then there is nothing to run. */
  readonly notApplicable?: string
  /** A target that does otherwise, and why; it must then really do otherwise. */
  readonly deviates?: { readonly ours?: string; readonly linux?: string }
  /** Why the facts that `run` notes differ between the targets. */
  readonly differs?: string
  /** Why `run` is not run against Linux. */
  readonly notOnLinux?: string
}

/** A part of the matrix. */
export interface Section {
  readonly title: string
  readonly requirements: readonly Requirement[]
}
