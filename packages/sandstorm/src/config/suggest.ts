/** What somebody meant who wrote a name that is none. */

/** The known name that is nearest to `name`, or '' if none is near. Case, - and _ do not count. */
export function suggest(name: string, known: readonly string[]): string {
  let nearest = ''
  // One edit in three letters; a swap of two neighbours is two.
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  if (name.length > LENGTH_MAX) return ''
  for (const candidate of known) {
    const edits = distance(plain(name), plain(candidate))
    if (edits >= least || edits >= candidate.length) continue
    nearest = candidate
    least = edits
  }
  return nearest
}

/** Longer names are not typing mistakes of ours. */
const LENGTH_MAX = 40

const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '')

/** Levenshtein's: insertions, deletions and exchanges of letters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const exchanged = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(exchanged, row[j] + 1, next[j - 1] + 1))
    }
    row = next
  }
  return row[b.length]
}
