/**
 * A SYN flood at line rate against the whole server (scene.ts): what room the clients leave in the
 * ring, random sources fill before every poll, and every poll takes a batch. Meanwhile visitors
 * come one after the other, and downloads that began before go on.
 *
 * Then nothing may be left (leftovers.ts), the server may not have kept more than its table of
 * half-open connections, and the process may not have grown since the first tenth.
 *
 * node --expose-gc run.js [SECONDS] [--json]: of virtual time, a million and a half SYNs each.
 * Prints a table, or a record for a test; exit code 1 if something is not as it should be.
 */
import type { TcpStats } from '@sandstorm/libtcpip'
import { loadObjects } from '../../src/objects.ts'
import { markdownTable } from '../../src/report.ts'
import { leftovers } from '../million/leftovers.ts'
import { memory } from '../million/memory.ts'
import { OBJECTS } from './clients.ts'
import { DOWNLOADS, Scene } from './scene.ts'

const REGION_BYTES = 128 << 20
const CLIENT_ADDRESS = 0x0a000100
const CONNECT_MAX_MS = 1000
// Code that is compiled late
const HEAP_GROWTH_MAX = 2 << 20
const RSS_GROWTH_MAX = 16 << 20
/** The least object has 12 bytes; a number or two a batch is nothing. */
const BYTES_PER_SYN_MAX = 4
/**
 * So short that nothing is collected meanwhile, and so many that the compiler rests in one of them.
 */
const SAMPLE_US = 10_000
const SAMPLES = 10

interface Measured {
  readonly syns: number
  /** By the server's own time. */
  readonly synsPerSecond: number
  readonly seconds: number
  readonly visits: number
  readonly slowestConnectMs: number
  readonly slowestVisitMs: number
  /** That came to their end during the flood. */
  readonly downloads: number
  readonly peakHalfOpen: number
  readonly bytesPerSyn: number
  readonly heapGrowthBytes: number
  readonly rssGrowthBytes: number
  readonly drops: Record<string, number>
  readonly tcp: TcpStats
}

/** What a SYN leaves for the collector. */
function bytesPerSyn(scene: Scene): number {
  let least = Infinity
  for (let n = 0; n < SAMPLES; n++) {
    const before = process.memoryUsage().heapUsed
    const { sent } = scene.flood
    scene.endure(SAMPLE_US)
    const bytes = process.memoryUsage().heapUsed - before
    least = Math.min(least, bytes / (scene.flood.sent - sent))
  }
  return least
}

async function play(scene: Scene, virtualSeconds: number): Promise<Measured> {
  const began = performance.now()
  const { server, flood, visitor, downloader } = scene
  scene.begin()
  const downloads = downloader.completed
  scene.endure(virtualSeconds * 1e5)
  const warm = await memory()
  const { sent } = flood
  scene.serverMs = 0
  scene.endure(virtualSeconds * 9e5)
  const synsPerSecond = ((flood.sent - sent) / scene.serverMs) * 1000
  const bytes = bytesPerSyn(scene)
  const end = await memory()
  const downloaded = downloader.completed - downloads
  scene.finish()
  const { drops, tcp } = server.stats()
  return {
    syns: flood.sent,
    synsPerSecond,
    seconds: (performance.now() - began) / 1000,
    visits: visitor.completed,
    slowestConnectMs: visitor.slowestConnectMs,
    slowestVisitMs: visitor.slowestMs,
    downloads: downloaded,
    peakHalfOpen: scene.peakHalfOpen,
    bytesPerSyn: bytes,
    heapGrowthBytes: end.heapBytes - warm.heapBytes,
    rssGrowthBytes: end.rssBytes - warm.rssBytes,
    drops,
    tcp,
  }
}

/** What is wrong after a run, one line each. */
function faults(scene: Scene, measured: Measured): string[] {
  const lines = [...clientFaults(scene, measured), ...serverFaults(scene)]
  const { bytesPerSyn, heapGrowthBytes, rssGrowthBytes } = measured
  if (bytesPerSyn > BYTES_PER_SYN_MAX) lines.push(`${bytesPerSyn} bytes allocated for each SYN`)
  if (heapGrowthBytes > HEAP_GROWTH_MAX) lines.push(`heap: ${heapGrowthBytes} bytes more`)
  if (rssGrowthBytes > RSS_GROWTH_MAX) lines.push(`RSS: ${rssGrowthBytes} bytes more`)
  return lines
}

function clientFaults({ crowd, visitor, downloader }: Scene, measured: Measured): string[] {
  const { visits, wrong, completed, slowestConnectMs } = visitor
  const lines: string[] = []
  if (crowd.alive > 0) lines.push(`${crowd.alive} clients still wait`)
  if (crowd.unanswered > 0) lines.push(`${crowd.unanswered} clients were not let in`)
  if (completed !== visits) lines.push(`${completed} of ${visits} visits came to their end`)
  if (wrong + downloader.wrong > 0)
    lines.push(`wrong answers: visitors ${wrong}, downloads ${downloader.wrong}`)
  if (slowestConnectMs >= CONNECT_MAX_MS) lines.push(`a visitor waited ${slowestConnectMs} ms`)
  if (measured.downloads < DOWNLOADS) lines.push(`${measured.downloads} downloads, not one each`)
  return lines
}

function serverFaults({ server, flood, visitor, peakHalfOpen, peakConnections }: Scene): string[] {
  const { backlog, stats } = server.stack.tcp
  const { passiveOpens, syncookiesSent, syncookiesRecv, syncookiesFailed } = stats
  const lines = Object.entries(leftovers(server, [CLIENT_ADDRESS]))
    .filter(([, count]) => count !== 0)
    .map(([name, count]) => `left: ${name} ${count}`)
  if (peakHalfOpen !== backlog) lines.push(`${peakHalfOpen} half open, not ${backlog}`)
  const most = backlog + DOWNLOADS + 1
  if (peakConnections > most) lines.push(`${peakConnections} TCBs, more than ${most}`)
  // Every SYN got a place or a cookie, and every visitor's cookie came back.
  const answered = syncookiesSent + passiveOpens - syncookiesRecv
  const syns = flood.sent + visitor.visits + DOWNLOADS
  if (answered !== syns) lines.push(`${answered} of ${syns} SYNs were answered`)
  if (syncookiesFailed > 0) lines.push(`${syncookiesFailed} cookies were refused`)
  if (syncookiesRecv < 0.9 * visitor.visits) lines.push(`only ${syncookiesRecv} cookies came back`)
  return lines
}

const mb = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

function table(measured: Measured): string {
  const { tcp } = measured
  const rows = [
    ['SYNs', `${measured.syns}`],
    ['SYNs/s, by the time inside the server', measured.synsPerSecond.toFixed(0)],
    ['cookies sent', `${tcp.syncookiesSent}`],
    ['cookies that came back', `${tcp.syncookiesRecv}`],
    ['most half open', `${measured.peakHalfOpen}`],
    ['visits', `${measured.visits}`],
    ['slowest handshake, virtual ms', `${measured.slowestConnectMs}`],
    ['slowest visit, virtual ms', `${measured.slowestVisitMs}`],
    ['downloads of 1 MB', `${measured.downloads}`],
    ['bytes allocated for a SYN', measured.bytesPerSyn.toFixed(2)],
    ['heap growth, MB', mb(measured.heapGrowthBytes)],
    ['RSS growth, MB', mb(measured.rssGrowthBytes)],
    ['s', measured.seconds.toFixed(1)],
  ]
  return markdownTable(['what', 'how many'], rows)
}

const [seconds = '60', format] = process.argv.slice(2)
const scene = new Scene(await loadObjects(OBJECTS, REGION_BYTES))
const measured = await play(scene, Number(seconds))
const wrong = faults(scene, measured)
if (format === '--json') process.stdout.write(`${JSON.stringify({ ...measured, faults: wrong })}\n`)
else process.stdout.write(`${table(measured)}\n\n${wrong.join('\n')}\n`)
process.exitCode = wrong.length > 0 ? 1 : 0
