/** `sandstorm explain FILE`: the ready-made frames of a file. */

/** Prints them; returns the exit code. */
export function explain(_file: string): Promise<number> {
  return Promise.reject(new Error('not built yet'))
}
