/** What a run of `load` tells: as data, whose names are a contract, and as text for people. */
import { ERROR_NAMES, SAMPLE, type Summary } from '@sandstorm/loadgen'
import type { LoadPlan } from './plan.ts'
import type { LoadResult } from './run.ts'

export interface LoadReport {
  readonly url: string
  readonly device: string
  readonly connections: number
  readonly threads: number
  readonly keepAlive: boolean
  /** Requests a second that were asked for; 0: closed loop. */
  readonly rate: number
  /** Whole answers, right or wrong. */
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly requestsPerSecond: number
  /** Received: heads, bodies and their framing. */
  readonly bytes: number
  readonly bytesPerSecond: number
  readonly latencyUs: Summary
  readonly connectUs: Summary
  readonly firstByteUs: Summary
  readonly status: Readonly<Record<string, number>>
  readonly errorsByKind: Readonly<Record<string, number>>
  readonly connectionsOpened: number
  /** Of these, closed by the server before their first request. */
  readonly connectionsUnused: number
  /** With keep-alive, until all were open: before `seconds` began. */
  readonly openingSeconds: number
  readonly unfinished: number
  readonly unsent: number
  /** Bodies that were compared byte for byte, one of so many, and their length. */
  readonly checked: number
  readonly checkedOneIn: number
  readonly bodyBytes: number
  /** Of the generator: seconds, and its share of the wall clock (1: one processor all the time). */
  readonly cpu: { readonly user: number; readonly system: number; readonly share: number }
  /** Frames of the server's that this machine has lost; left out: nobody counts them. */
  readonly framesLost?: number
  /** Why the last connection came to nothing, as the system says it; '': all is well. */
  readonly problem: string
}

export function reportOf(plan: LoadPlan, result: LoadResult): LoadReport {
  const { tally, cpu, device, problem, framesLost } = result
  const { seconds, bytes, answers } = tally
  const perSecond = (n: number): number => (seconds > 0 ? n / seconds : 0)
  const statuses = Array.from(tally.statuses.entries()).filter(([, count]) => count > 0)
  return {
    url: plan.target.url,
    device,
    connections: plan.connections,
    threads: plan.threads,
    keepAlive: plan.keepAlive,
    rate: plan.rate,
    requests: answers,
    errors: tally.errorCount,
    seconds,
    requestsPerSecond: perSecond(answers),
    bytes,
    bytesPerSecond: perSecond(bytes),
    latencyUs: tally.latency.summary(),
    connectUs: tally.connect.summary(),
    firstByteUs: tally.firstByte.summary(),
    status: Object.fromEntries(statuses),
    errorsByKind: Object.fromEntries(ERROR_NAMES.map((name, kind) => [name, tally.errors[kind]])),
    connectionsOpened: tally.opened,
    connectionsUnused: tally.unused,
    openingSeconds: tally.openingSeconds,
    unfinished: tally.unfinished,
    unsent: tally.unsent,
    checked: tally.checked,
    checkedOneIn: SAMPLE,
    bodyBytes: Math.max(0, tally.bodyBytes),
    cpu: { user: cpu.user, system: cpu.system, share: (cpu.user + cpu.system) / cpu.wall },
    ...(framesLost === undefined ? {} : { framesLost }),
    problem,
  }
}

const QUANTILES = ['mean', 'p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max'] as const

/** Lines for people; what went wrong is in the last one. */
export function reportText(report: LoadReport): string {
  const { requests, seconds, bytes, status } = report
  const answers = `${whole(requests)} in ${seconds.toFixed(2)} s`
  const statuses = Object.entries(status).map(([code, count]) => `${code}: ${whole(count)}`)
  return [
    headline(report),
    '',
    `  requests/s    ${whole(Math.round(report.requestsPerSecond))}   (${answers})`,
    `  MB/s          ${(report.bytesPerSecond / 1e6).toFixed(2)}   (${whole(bytes)} bytes)`,
    `  connections   ${whole(report.connectionsOpened)} opened${openingText(report)}`,
    ...unusedText(report),
    `  status        ${statuses.length === 0 ? 'none' : statuses.join(', ')}`,
    ...latencyTable(report),
    '',
    `  checked       ${checkedText(report)}`,
    `  generator     ${cpuText(report)}`,
    ...leftText(report),
    '',
    errorText(report),
  ].join('\n')
}

function headline({ url, device, connections, threads, keepAlive, rate }: LoadReport): string {
  const how = keepAlive ? 'keep-alive' : 'a connection per request'
  const loop = rate > 0 ? `${whole(rate)} requests/s` : 'closed loop'
  const many = threads > 1 ? `, ${threads} threads` : ''
  return `${url}: ${count(connections, 'connection')}, ${how}, ${loop}, ${device}${many}`
}

function latencyTable({ connectUs, firstByteUs, latencyUs }: LoadReport): string[] {
  const cell = (text: string): string => text.padStart(10)
  // What never happened took no time.
  const row = (name: string, of: Summary): string[] =>
    of.max === 0
      ? []
      : [`  ${name.padEnd(13)}${QUANTILES.map(q => cell(milliseconds(of[q]))).join('')}`]
  const rows = [
    ...row('connect', connectUs),
    ...row('first byte', firstByteUs),
    ...row('whole answer', latencyUs),
  ]
  return rows.length === 0
    ? []
    : ['', `  ${'ms'.padEnd(13)}${QUANTILES.map(cell).join('')}`, ...rows]
}

const openingText = ({ openingSeconds }: LoadReport): string =>
  openingSeconds > 0 ? `, all at first in ${openingSeconds.toFixed(2)} s` : ''

const unusedText = ({ connectionsUnused }: LoadReport): string[] =>
  connectionsUnused > 0
    ? [
        `  unused        ${count(connectionsUnused, 'connection')}: the server closed before a request`,
      ]
    : []

function checkedText({ checked, checkedOneIn, bodyBytes }: LoadReport): string {
  if (checked === 0) return 'nothing'
  return `every length (${whole(bodyBytes)} bytes); of one answer in ${checkedOneIn} every byte (${whole(checked)})`
}

function cpuText({ cpu }: LoadReport): string {
  const share = Math.round(cpu.share * 100)
  return `${cpu.user.toFixed(2)} s user, ${cpu.system.toFixed(2)} s system: ${share} % of a processor`
}

function leftText({ unfinished, unsent, framesLost = 0 }: LoadReport): string[] {
  const lines: string[] = []
  if (framesLost > 0)
    lines.push(
      `  frames lost   ${whole(framesLost)} on this machine: times above have retransmissions in them`,
    )
  if (unfinished > 0) lines.push(`  unfinished    ${count(unfinished, 'request')} at the end`)
  if (unsent > 0) lines.push(`  never sent    ${count(unsent, 'request')}: no connection was free`)
  return lines
}

/** Nothing is wrong with what was asked, and something was answered. */
export const isGood = ({ errors, requests }: LoadReport): boolean => errors === 0 && requests > 0

function errorText({ errors, errorsByKind, requests, problem }: LoadReport): string {
  if (errors === 0) return requests > 0 ? 'no errors' : 'no answer'
  const kinds = Object.entries(errorsByKind).filter(([, n]) => n > 0)
  const list = kinds.map(([kind, n]) => `${whole(n)} ${kind}`).join(', ')
  const why = problem === '' ? '' : `; last: ${problem}`
  return `${count(errors, 'error')}: ${list}${why}`
}

const whole = (n: number): string => n.toLocaleString('en-US')
const count = (n: number, what: string): string => `${whole(n)} ${what}${n === 1 ? '' : 's'}`

/** Three digits at least. */
function milliseconds(us: number): string {
  const ms = us / 1000
  return ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3)
}
