/**
 * Sizes as people write them: `1GiB`, `512MiB`, `300M`, `1.5G`, plain bytes. K, M and G alone are
 * powers of 1024, as in dd(1) and nginx; KB, MB and GB are powers of 1000 (IEC 80000-13).
 */
const UNITS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  kb: 1e3,
  m: 2 ** 20,
  mib: 2 ** 20,
  mb: 1e6,
  g: 2 ** 30,
  gib: 2 ** 30,
  gb: 1e9,
}

/** The number of bytes, a whole number, or NaN if `text` is no size. */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text) ?? []
  const scale = UNITS[(unit ?? '?').toLowerCase()]
  if (scale === undefined) return Number.NaN
  const bytes = Math.floor(Number(digits) * scale)
  return Number.isSafeInteger(bytes) ? bytes : Number.NaN
}

/** The shortest exact form in binary units: 1073741824 is `1GiB`, 1500 is `1500`. */
export function formatSize(bytes: number): string {
  for (const [unit, scale] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (bytes >= scale && bytes % scale === 0) return `${bytes / scale}${unit}`
  return `${bytes}`
}
