/**
 * UTF-8 validation (RFC 3629 §4): no overlong forms, no surrogates, nothing beyond U+10FFFF. An
 * overlong "/" or "." is the classical way around a path check.
 */

/** Is bytes[off, end) well-formed UTF-8? */
export function isUtf8(bytes: Uint8Array, off: number, end: number): boolean {
  for (let at = off; at < end; ) {
    const lead = bytes[at++]
    if (lead < 0x80) continue
    const more = lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0
    if (more === 0 || at + more > end || !isSecond(lead, bytes[at])) return false
    for (const stop = at++ + more; at < stop; at++) if ((bytes[at] & 0xc0) !== 0x80) return false
  }
  return true
}

/** The second byte's range depends on the first (RFC 3629 §4, the table). */
function isSecond(lead: number, c: number): boolean {
  switch (lead) {
    case 0xe0:
      return c >= 0xa0 && c <= 0xbf
    case 0xed:
      return c >= 0x80 && c <= 0x9f
    case 0xf0:
      return c >= 0x90 && c <= 0xbf
    case 0xf4:
      return c >= 0x80 && c <= 0x8f
    default:
      return c >= 0x80 && c <= 0xbf
  }
}
