/**
 * All-pairs selection: of the combinations of several factors' values so few that every two values
 * of two factors meet in one of them. Most faults that need a combination need one of two.
 */

/** What each factor may be. */
export type Factors = Readonly<Record<string, readonly unknown[]>>
/** One value of each factor. */
export type Combination<F extends Factors> = { readonly [K in keyof F]: F[K][number] }

/** Every combination; the last factor changes fastest. */
export function allCombinations<F extends Factors>(factors: F): Combination<F>[] {
  return Object.entries(factors).reduce<Combination<F>[]>(
    (rows, [name, values]) => rows.flatMap(row => values.map(value => ({ ...row, [name]: value }))),
    [{} as Combination<F>],
  )
}

/** Greedy: always the combination that has most pairs not met before. */
export function pairwise<F extends Factors>(factors: F): Combination<F>[] {
  const candidates = allCombinations(factors).map(row => ({ row, pairs: pairsOf(row) }))
  const open = new Set(candidates.flatMap(({ pairs }) => pairs))
  const chosen: Combination<F>[] = []
  while (open.size > 0) {
    let best = candidates[0]
    let most = -1
    for (const candidate of candidates) {
      const gain = candidate.pairs.filter(pair => open.has(pair)).length
      if (gain > most) [best, most] = [candidate, gain]
    }
    chosen.push(best.row)
    for (const pair of best.pairs) open.delete(pair)
  }
  return chosen
}

function pairsOf(row: Record<string, unknown>): string[] {
  const named = Object.entries(row).map(([name, value]) => `${name}=${value}`)
  return named.flatMap((a, i) => named.slice(i + 1).map(b => `${a} ${b}`))
}
