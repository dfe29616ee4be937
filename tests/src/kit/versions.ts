/**
 * Bodies that say which version of a file they are in every line, so that a client can tell a whole
 * version from a mixture of several.
 */
const LINE_BYTES = 64

/**
 * The body of version `n` >= 1: so many lines, by default up to 38 KB, and of another length each
 * time.
 */
export function versionBody(n: number, lines: number = linesOf(n)): Buffer {
  return Buffer.from(
    `${n} `
      .padEnd(LINE_BYTES - 1, '.')
      .concat('\n')
      .repeat(lines),
  )
}

const linesOf = (n: number): number => 1 + ((n * 37) % 600)

/** The version that a body is of; 0: it is none as a whole. */
export function versionOf(body: Buffer): number {
  const n = Number.parseInt(body.toString('latin1', 0, LINE_BYTES), 10)
  return n > 0 && body.equals(versionBody(n)) ? n : 0
}

/**
 * The same of a file that is written over from its beginning to its end with the next version, of
 * the same length each: what it holds at a moment is some lines of a version and then the one
 * before. 0: this is not so.
 */
export function versionWrittenOver(body: Buffer): number {
  const n = Number.parseInt(body.toString('latin1', 0, LINE_BYTES), 10)
  if (!(n > 0)) return 0
  const lines = body.length / LINE_BYTES
  const now = versionBody(n, lines)
  let same = 0
  while (same < body.length && body[same] === now[same]) same++
  const before = versionBody(n - 1, lines)
  return body.subarray(same).equals(before.subarray(same)) ? n : 0
}
