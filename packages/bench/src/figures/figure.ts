/**
 * What a figure is: how it is measured, and what a person then looks at. Everything that is drawn
 * or tabled comes from `Panel`s, which keep every single run, so that figures can be drawn again
 * without measuring (record.ts).
 */
export interface Figure {
  /** As on the command line, and of its files. */
  readonly name: string
  readonly title: string
  /** What is seen and how it was measured, in some sentences; the command is added. */
  readonly caption: string
  /** Programs that it runs beside Node. */
  readonly tools: readonly Tool[]
  measure(effort: Effort): Promise<readonly Panel[]>
}

/** Programs, and the Debian packages that they come in. */
export const PACKAGES = {
  ip: 'iproute2',
  ethtool: 'ethtool',
  wrk: 'wrk',
  curl: 'curl',
  nginx: 'nginx-light',
  h2o: 'h2o',
  tshark: 'tshark',
} as const
export type Tool = keyof typeof PACKAGES

/** How much time a figure may take. */
export interface Effort {
  /** Length of one run. */
  readonly seconds: number
  /** Times that the sides take turns. */
  readonly turns: number
  /** That each side answers every kind of request before anything counts (sides.ts). */
  readonly warmUpSeconds: number
  /** Only to show that it works: the fewest points that make a figure. */
  readonly isSmoke: boolean
}

/** One plot of a figure. */
export interface Panel {
  /** '' if the figure has but one. */
  readonly title: string
  readonly kind: 'lines' | 'bars' | 'dots'
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
}

export interface Axis {
  /** With its unit. */
  readonly label: string
  readonly scale: 'linear' | 'log' | 'band'
  /** Where it ends; default: with the data. */
  readonly max?: number
}

export interface Series {
  readonly name: string
  readonly points: readonly Point[]
}

export interface Point {
  readonly x: number | string
  /** One value a run; what is drawn is their median, and from the least to the largest. */
  readonly y: readonly number[]
}

/** A group of bars for each x; y from 0. */
export const bars = (title: string, x: string, y: string, series: readonly Series[]): Panel => ({
  title,
  kind: 'bars',
  x: { label: x, scale: 'band' },
  y: { label: y, scale: 'linear' },
  series,
})

/** The points of a full figure, or the first of them. */
export const some = <T>(points: readonly T[], { isSmoke }: Effort): readonly T[] =>
  isSmoke ? points.slice(0, 1) : points
