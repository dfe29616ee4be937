/** Durations as people write them: `10s`, `500ms`, `2m`, `1h`, and a plain number of seconds. */
const UNITS: Record<string, number> = { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** The number of milliseconds, a whole number, or NaN if `text` is no duration. */
export function parseDuration(text: string): number {
  const [, digits, unit] = /^(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h)?$/.exec(text) ?? []
  return digits === undefined ? Number.NaN : Math.round(Number(digits) * UNITS[unit ?? ''])
}

/** The shortest exact form: 10000 is `10s`, 1500 is `1500ms`. */
export function formatDuration(ms: number): string {
  for (const [unit, scale] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const)
    if (ms >= scale && ms % scale === 0) return `${ms / scale}${unit}`
  return `${ms}ms`
}
