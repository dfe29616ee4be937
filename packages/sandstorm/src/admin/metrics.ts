/** A server's counters, and what the process uses, as one page of metrics. */
import type { Distribution } from './histogram.ts'
import { durationHelp, KNOWN, knownOf, snake } from './metricNames.ts'
import { MetricsText } from './metricsText.ts'

/** What the server knows of itself at one moment. */
export interface Metrics {
  /**
   * Numbers by name, and groups of numbers by name, as in ServerStats (stats.ts), summed over all
   * workers. On the kernel's stack `{ kernel: mount.stats }`; the access log's are `accessLog`.
   */
  readonly counters: object
  /** Durations, by what took them: `answer` becomes sandstorm_answer_seconds. */
  readonly durations?: Readonly<Record<string, Distribution>>
}

/** The whole page. `isServing`: as /readyz says. */
export function metricsPage({ counters, durations = {} }: Metrics, isServing: boolean): string {
  const text = new MetricsText()
  text.single('sandstorm_serving', 'gauge', 'Whether requests are answered.', isServing ? 1 : 0)
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === 'number') writeOne(text, name, value)
    else if (name in KNOWN) writeLabelled(text, name, value)
    else writeGroup(text, name, value)
  }
  for (const [name, distribution] of Object.entries(durations)) {
    text.histogram(`sandstorm_${snake(name)}_seconds`, durationHelp(name), distribution)
  }
  writeProcess(text)
  return text.toString()
}

function writeGroup(text: MetricsText, group: string, counters: object): void {
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === 'number') writeOne(text, `${group}.${name}`, value)
    else writeLabelled(text, `${group}.${name}`, value)
  }
}

function writeOne(text: MetricsText, path: string, value: number): void {
  const { name, kind, help } = knownOf(path)
  text.single(`sandstorm_${name}`, kind, help, value)
}

/** A group whose names are what tells its samples apart. */
function writeLabelled(text: MetricsText, path: string, counters: object): void {
  const { name, kind, help, label = 'kind' } = knownOf(path)
  text.family(`sandstorm_${name}`, kind, help)
  for (const [of, value] of Object.entries(counters as Record<string, number>))
    text.sample(`sandstorm_${name}`, value, { [label]: of })
}

/** What every program tells, by the names that all use. */
function writeProcess(text: MetricsText): void {
  const { user, system } = process.cpuUsage()
  const start = performance.timeOrigin / 1000
  const cpu = 'process_cpu_seconds_total'
  text.single(cpu, 'counter', 'Processor time, all threads.', (user + system) / 1e6)
  text.single(
    'process_resident_memory_bytes',
    'gauge',
    'Memory in use, packet memory included.',
    process.memoryUsage.rss(),
  )
  text.single('process_start_time_seconds', 'gauge', 'When it started, since 1970.', start)
}
