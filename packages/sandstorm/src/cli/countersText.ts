/**
 * Counters as text, a line each: name and number as nstat(8) prints them, and what is counted in
 * the words of netstat -s. TCP's go by the names that monitoring knows (counterNames.ts), all
 * others by those of the statistics themselves.
 */
import { COUNTER_NAMES } from '../control/counterNames.ts'
import type { ServerStats } from '../stats.ts'

/** Widths of nstat's columns. */
const NAME_WIDTH = 32
const VALUE_WIDTH = 18

/** All counters of a server. */
export function countersText(stats: ServerStats): string[] {
  const { tcp, timeWait, ...groups } = stats
  const counts = tcp as unknown as Readonly<Record<string, number>>
  return [
    ...Object.entries(COUNTER_NAMES).map(([field, { nstat, text }]) =>
      line(nstat, counts[field] ?? 0, text),
    ),
    line('timeWait', timeWait, 'connections in TIME-WAIT'),
    ...Object.entries(groups).flatMap(([group, counters]) =>
      Object.entries(counters as Record<string, number>).map(([name, value]) =>
        line(`${group}.${name}`, value, ''),
      ),
    ),
  ]
}

const line = (name: string, value: number, text: string): string =>
  `${name.padEnd(NAME_WIDTH - 1)} ${String(value).padEnd(VALUE_WIDTH)} ${text}`.trimEnd()
