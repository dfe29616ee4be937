/**
 * Sides at points, in turns A B A B, so that what a machine does meanwhile falls on all of them
 * alike.
 */
import type { Effort, Series } from './figure.ts'

/** What was found on one side: of each point, every run. */
export interface Turns<T> {
  readonly name: string
  readonly points: { readonly x: number | string; readonly runs: T[] }[]
}

/** Point after point, all sides in as many turns as the effort says. */
export async function inTurns<
  S extends { readonly name: string },
  P extends { readonly x: X },
  X extends number | string,
  T,
>(
  sides: readonly S[],
  points: readonly P[],
  { turns }: Effort,
  run: (side: S, point: P) => T | Promise<T>,
): Promise<Turns<T>[]> {
  const all = sides.map(
    ({ name }): Turns<T> => ({
      name,
      points: points.map(({ x }) => ({ x, runs: [] })),
    }),
  )
  for (const [at, point] of points.entries()) {
    for (let turn = 0; turn < turns; turn++) {
      for (const [i, side] of sides.entries()) {
        all[i].points[at].runs.push(await run(side, point))
      }
    }
  }
  return all
}

/** One quantity of all runs. */
export const seriesOf = <T>(all: readonly Turns<T>[], value: (run: T) => number): Series[] =>
  all.map(({ name, points }) => {
    return { name, points: points.map(({ x, runs }) => ({ x, y: runs.map(value) })) }
  })
