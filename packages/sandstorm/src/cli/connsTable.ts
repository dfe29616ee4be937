/**
 * Connections as text, one line each, with the columns and words of `ss -tnoi`: times in
 * milliseconds, cwnd and ssthresh in segments. What ss counts in segments and we know in bytes has
 * a name that says so (bytes_sacked, bytes_lost).
 */
import type { Connection, Timer } from '../control/connection.ts'
import { endpointText } from '../control/endpoint.ts'
import type { SummaryLine } from '../control/protocol.ts'

const HEADER = ['State', 'Send-Q', 'In-Flight', 'Local Address:Port', 'Peer Address:Port', 'Timer']
/** Columns of numbers, aligned at the right. */
const NUMBERS: readonly number[] = [1, 2]

/**
 * Lines with aligned columns; widths follow the widest cell so far, so a table may come in parts.
 */
export class Columns {
  readonly #widths: number[] = HEADER.map(title => title.length)

  /** The lines of a part. */
  lines(connections: readonly Connection[]): string[] {
    const rows = connections.map(cellsOf)
    for (const row of rows) this.#fit(row)
    return rows.map((row, i) => `${this.#line(row)} ${detailsOf(connections[i])}`.trimEnd())
  }

  /** The titles, as wide as what was fitted so far. */
  header(): string {
    return this.#line(HEADER).trimEnd()
  }

  #fit(row: readonly string[]): void {
    row.forEach((cell, i) => {
      this.#widths[i] = Math.max(this.#widths[i], cell.length)
    })
  }

  #line(row: readonly string[]): string {
    const pad = (cell: string, i: number): string =>
      NUMBERS.includes(i) ? cell.padStart(this.#widths[i]) : cell.padEnd(this.#widths[i])
    return row.map(pad).join(' ')
  }
}

/** `TCP:   3 (estab 1, fin-wait-1 1, timewait 1)`, as `ss -s` begins. */
export function summaryText({ states }: SummaryLine): string {
  const { ESTAB: estab = 0, 'TIME-WAIT': timeWait = 0, ...others } = states
  const counts = Object.entries(others).map(([state, count]) => `${state.toLowerCase()} ${count}`)
  const total = Object.values(states).reduce((sum, count) => sum + count, 0)
  const parts = [`estab ${estab}`, ...counts, `timewait ${timeWait}`]
  return `TCP:   ${total} (${parts.join(', ')})`
}

function cellsOf(connection: Connection): string[] {
  const { state, inFlightBytes, notSentBytes, local, peer, timer, backoff } = connection
  return [
    state,
    `${inFlightBytes + notSentBytes}`, // as the kernel: all that is not acknowledged
    `${inFlightBytes}`,
    endpointText(local),
    endpointText(peer),
    timer === null ? '-' : timerText(timer, backoff),
  ]
}

/** `timer:(on,204ms,0)`: what for, how long yet, time-outs in a row. */
const timerText = ({ kind, leftMs }: Timer, backoff: number): string =>
  `timer:(${kind},${durationText(leftMs)},${backoff})`

/** As ss(8): `204ms`, `9.501sec`, `58sec`, `1min12sec`, `12min`. */
export function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000)
  const seconds = Math.floor(ms / 1000) % 60
  const rest = String(ms % 1000).padStart(3, '0')
  if (minutes > 9) return `${minutes}min`
  if (minutes > 0) return seconds === 0 ? `${minutes}min` : `${minutes}min${seconds}sec`
  if (seconds > 9 || (seconds > 0 && ms % 1000 === 0)) return `${seconds}sec`
  return seconds > 0 ? `${seconds}.${rest}sec` : `${ms % 1000}ms`
}

/** Everything else, in the order of `ss -i`; what is not known or not so is left out. */
function detailsOf(c: Connection): string {
  const { windowScale: scale, mssBytes: mss } = c
  const isKnown = c.srttUs > 0
  return [
    c.timestamps && 'ts',
    c.sack && 'sack',
    c.ecn && 'ecn',
    c.congestion,
    scale !== null && `wscale:${scale.send},${scale.receive}`,
    `rto:${milliseconds(c.rtoUs)}`,
    c.backoff > 0 && `backoff:${c.backoff}`,
    isKnown && `rtt:${milliseconds(c.srttUs)}/${milliseconds(c.rttvarUs)}`,
    `mss:${mss}`,
    c.cwndBytes > 0 && `cwnd:${segments(c.cwndBytes, mss)}`,
    c.ssthreshBytes !== null && `ssthresh:${segments(c.ssthreshBytes, mss)}`,
    c.recovery !== 'none' && c.recovery,
    c.lastSentMs !== null && `lastsnd:${c.lastSentMs}`,
    `lastrcv:${c.lastReceivedMs}`,
    c.notSentBytes > 0 && `notsent:${c.notSentBytes}`,
    c.sackedBytes > 0 && `bytes_sacked:${c.sackedBytes}`,
    c.lostBytes > 0 && `bytes_lost:${c.lostBytes}`,
    isKnown && c.minRttUs > 0 && `minrtt:${milliseconds(c.minRttUs)}`,
    `snd_wnd:${c.sendWindowBytes}`,
  ]
    .filter(word => word !== false)
    .join(' ')
}

const milliseconds = (us: number): string => `${us / 1000}`

/** Full segments. */
const segments = (bytes: number, mss: number): number => Math.floor(bytes / mss)
