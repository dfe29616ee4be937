/**
 * The text format of Prometheus, version 0.0.4: families of samples, each with what it is. See
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { cumulative, type Distribution } from './histogram.ts'

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Readonly<Record<string, string>>

/** A counter only grows (its name ends with _total), a gauge goes up and down. */
export type MetricKind = 'counter' | 'gauge'

export class MetricsText {
  readonly #lines: string[] = []

  /** Begins a family; its samples follow. Names are ours: letters, digits and `_`. */
  family(name: string, kind: MetricKind | 'histogram', help: string): void {
    const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
    this.#lines.push(`# HELP ${name} ${escaped}`, `# TYPE ${name} ${kind}`)
  }

  sample(name: string, value: number, labels: Labels = {}): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
    const braces = pairs.length === 0 ? '' : `{${pairs.join(',')}}`
    this.#lines.push(`${name}${braces} ${numberText(value)}`)
  }

  /** A family of one sample. */
  single(name: string, kind: MetricKind, help: string, value: number): void {
    this.family(name, kind, help)
    this.sample(name, value)
  }

  /** A whole histogram, in seconds. */
  histogram(name: string, help: string, distribution: Distribution): void {
    this.family(name, 'histogram', help)
    for (const { leSeconds, count } of cumulative(distribution))
      this.sample(`${name}_bucket`, count, { le: numberText(leSeconds) })
    this.sample(`${name}_sum`, distribution.sumUs / 1e6)
    this.sample(`${name}_count`, distribution.count)
  }

  toString(): string {
    return this.#lines.map(line => `${line}\n`).join('')
  }
}

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
