/**
 * The connections of a server as the lines that `sandstorm conns --json` prints
 * (control/protocol.ts), a part at a time: whoever reads them sets the pace, and memory holds one
 * part.
 */
import type { Part } from '../control/inspector.ts'
import type { Line } from '../control/protocol.ts'

/** Beyond, the answer ends with an error line: an HTTP client hardly wants a million. */
export const CONNECTIONS_MAX = 100_000

/** Texts of whole lines. */
export async function* connectionLines(
  parts: AsyncIterable<Part>,
  max: number = CONNECTIONS_MAX,
): AsyncGenerator<string> {
  const { pid } = process
  const states: Record<string, number> = {}
  let waiting = 0
  let left = max
  for await (const { connections, timeWait } of parts) {
    const shown = connections.slice(0, left)
    left -= shown.length
    waiting = timeWait
    for (const { state } of shown) states[state] = (states[state] ?? 0) + 1
    if (shown.length > 0)
      yield shown.map(connection => text({ type: 'connection', pid, ...connection })).join('')
    if (shown.length < connections.length) {
      yield text({ type: 'error', message: `there are more connections than ${max}` })
      return
    }
  }
  yield text({ type: 'summary', pid, states: { ...states, 'TIME-WAIT': waiting } })
}

const text = (line: Line): string => `${JSON.stringify(line)}\n`
