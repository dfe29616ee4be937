/**
 * `assert` for the caller's mistakes and our own, never for what comes from the wire. It takes a
 * ready string, so a check on the hot path builds nothing.
 */
export class AssertionError extends Error {
  override readonly name: string = 'AssertionError'
}

/** Throws an AssertionError that says `what` must hold, unless it does. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new AssertionError(what)
}
