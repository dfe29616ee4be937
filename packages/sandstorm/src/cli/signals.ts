/** The signals that end a command. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * The first signal asks for a clean end. The second ends the process at once, by the signal itself
 * (a shell sees 130 for Ctrl-C): process.exit would wait for a worker that sits in poll(2).
 */
export function watchSignals(): { first: Promise<'signal'>; forget(): void } {
  let count = 0
  let settle: (value: 'signal') => void = () => {}
  const first = new Promise<'signal'>(resolve => {
    settle = resolve
  })
  const onSignal = (signal: NodeJS.Signals): void => {
    settle('signal')
    if (++count === 1) return
    forget()
    process.kill(process.pid, signal)
  }
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return { first, forget }
}
