/**
 * What must not outlive a test process: namespaces, servers, folders. Whoever makes one registers
 * how to remove it, and takes the entry out again once it is removed in the ordinary way.
 *
 * The removals are synchronous, run newest first, and run on every exit that can be seen: the end
 * of the tests, an uncaught error, Ctrl-C, the runner's SIGTERM.
 */
const pending = new Set<() => void>()
let hooked = false

/** Registers a removal for the end of the process; the answer takes it out again. */
export function atExit(remove: () => void): () => void {
  hookOnce()
  pending.add(remove)
  return () => pending.delete(remove)
}

function hookOnce(): void {
  if (hooked) return
  hooked = true
  process.on('exit', removeAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
}

function removeAll(): void {
  for (const remove of [...pending].reverse()) {
    try {
      remove()
    } catch (error) {
      process.stderr.write(`clean-up: ${error}\n`)
    }
  }
}
