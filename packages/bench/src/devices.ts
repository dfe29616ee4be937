/**
 * Our devices beside each other and beside nginx: requests per second (compare.ts), and what a
 * response costs on each: system calls, frames, and payload bytes that we copied or summed
 * ourselves. What the kernel copies is not counted but known; docs/devices.md says it.
 */
import {
  compare,
  connectionOf,
  demandAll,
  figure,
  loadOf,
  type Result,
  ROWS,
  type Row,
  ratioFigure,
  withObjects,
} from './compare.ts'
import type { Options } from './options.ts'
import { markdownTable, report } from './report.ts'
import {
  type Counters,
  type OurStats,
  type Side,
  startNginx,
  startOnInterface,
  startSandstorm,
} from './servers.ts'
import { CONNECTIONS, wrk } from './wrk.ts'

export const NAMES = ['tap', 'packet', 'xdp'] as const
type Name = (typeof NAMES)[number]

export const START: Record<
  Name,
  (dir: string, flags?: readonly string[]) => Promise<Side & OurStats>
> = {
  tap: async (dir, flags) => ({ ...(await startSandstorm(dir, flags)), name: 'tap' }),
  packet: (dir, flags) => startOnInterface('packet', dir, flags),
  xdp: (dir, flags) => startOnInterface('xdp', dir, flags),
}

interface Cost extends Row {
  readonly name: Name
  readonly counters: Counters
}

/** Runs both. Throws when a row was refused, after the others are reported. */
export const benchDevices = (options: Options): Promise<void> =>
  withObjects(async (dir, workDir) => {
    const sides: Side[] = []
    for (const name of NAMES) sides.push(await START[name](dir))
    sides.push(await startNginx(dir, workDir))
    const results = await compare(sides, options)
    const costs: Cost[] = []
    for (const row of options.quick ? ROWS.slice(0, 1) : ROWS) {
      for (const name of NAMES) costs.push(await cost(name, row, dir, options.seconds))
    }
    const tables = `${rateTable(results)}\n\n${costTable(costs)}`
    report('devices', tables, { connections: CONNECTIONS, rows: results, costs }, options)
    demandAll(results)
  })

/** A server for this row alone, whose counters are the row's. */
async function cost(name: Name, row: Row, dir: string, seconds: number): Promise<Cost> {
  const side = await START[name](dir)
  const run = await wrk(side, loadOf(row), seconds)
  await side.stop()
  if (run.refused !== '') throw new Error(`${name}: ${run.refused}`)
  return { ...row, name, counters: side.counters() }
}

function rateTable(results: readonly Result[]): string {
  const head = ['object', 'connection', 'requests/s: tap', 'packet', 'xdp', 'nginx', 'tap / nginx']
  return markdownTable(
    [...head, 'packet / nginx', 'xdp / nginx'],
    results.map(({ rates, ...result }) => [
      result.object,
      connectionOf(result),
      ...(result.refused === ''
        ? [
            ...[...NAMES, 'nginx'].map(name => figure(rates[name], 0)),
            ...NAMES.map(name => ratioFigure(rates[name], rates['nginx'])),
          ]
        : [`refused: ${result.refused}`, '', '', '', '', '', '']),
    ]),
  )
}

function costTable(costs: readonly Cost[]): string {
  const head = ['object', 'connection', 'device', 'per response: system calls', 'frames in + out']
  return markdownTable(
    [...head, 'payload bytes copied', 'summed'],
    costs.map(({ name, counters, ...row }) => {
      const { http, device, ledger } = counters
      const per = (count: number, digits = 2): string => (count / http.requests).toFixed(digits)
      return [
        row.object,
        connectionOf(row),
        name,
        per(device.syscalls),
        `${per(device.rxFrames)} + ${per(device.txFrames)}`,
        per(ledger.payloadBytesCopied, 0),
        per(ledger.payloadBytesSummed, 0),
      ]
    }),
  )
}
