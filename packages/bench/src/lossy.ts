/**
 * Ours against Linux with CUBIC behind the same long and lossy link: what counts is how a sender
 * answers loss, not how fast it is, so the link is one that either can fill many times over.
 *
 *     curl ── TAP ── a process that delays and loses frames ── TAP ── bridge ──┬── TAP ── sandstorm
 *                                                                              └── kernel ── nginx
 *
 * The process is the one of the tests (tests/src/kit/lossyLink.ts). It sees segments of the MTU's
 * size, whoever sent them, for its TAPs have no offloads. Each run has a link of its own; the two
 * of a pair have the same seed, and nothing but the measured connection crosses the link and uses
 * up its accidents, so the same ones of both servers' segments are lost until their windows differ.
 * What is compared is the medians. A run ends with the file or with its time, whichever is first:
 * what has arrived until then is its goodput. Where in slow start the first loss falls decides a
 * short run, and a single pair says nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { few, type Options, ROOT } from './options.ts'
import { ended, ip, makeNamespace, runInside, startInside, sysctl } from './process.ts'
import { markdownTable, median, report, spreadPercent } from './report.ts'
import { nginxInside, type Running, serveInside } from './servers.ts'

const BYTES = 48 * 1024 * 1024
const LOSSES = [0, 0.01, 0.02]
/** A round trip of 40 ms, 20 Mbit/s, a queue of one round trip's worth. */
const LINK = { mtu: 1500, delayUs: 20_000, bytesPerSecond: 2_500_000, queueBytes: 100_000 }
/** How many times longer than --seconds a run may take: long against slow start. */
const PATIENCE = 4

const CLIENT_ADDRESS = '10.77.0.1'
const NGINX_ADDRESS = '10.77.0.3'
const BRIDGE = 'bench-br'

interface Row {
  readonly loss: number
  /** Bytes a second, by pair. */
  readonly sandstorm: number[]
  readonly nginx: number[]
}

/** Runs the comparison. */
export async function benchLossy(options: Options): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'sand-bench-'))
  try {
    const dir = mkdtempSync(join(workDir, 'www-'))
    const body = Uint8Array.from({ length: BYTES }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24)
    writeFileSync(join(dir, 'large.bin'), body)
    const rows: Row[] = []
    const limitSeconds = options.seconds * (options.quick ? 1 : PATIENCE)
    for (const loss of few(LOSSES, options)) {
      const row: Row = { loss, sandstorm: [], nginx: [] }
      for (let seed = 1; seed <= options.pairs; seed++) {
        const rate = (start: Start): Promise<number> => measure(start, loss, seed, limitSeconds)
        row.sandstorm.push(await rate(server => startOurs(server, dir)))
        // Asked from beside it whether it is ready, not across the link.
        row.nginx.push(
          await rate(server => nginxInside(server, server, NGINX_ADDRESS, dir, workDir)),
        )
      }
      rows.push(row)
    }
    report('lossy', table(rows), { link: LINK, bytes: BYTES, rows }, options)
  } finally {
    rmSync(workDir, { recursive: true, force: true })
  }
}

/** A server that runs in a namespace, one end of the link. */
type Start = (server: string) => Promise<Running>

/** Goodput of one server behind a link of its own. */
async function measure(
  start: Start,
  loss: number,
  seed: number,
  limitSeconds: number,
): Promise<number> {
  const client = makeNamespace()
  const server = makeNamespace()
  // Neighbour and router discovery would have their share of the accidents.
  for (const name of [client, server]) sysctl(name, 'net.ipv6.conf.default.disable_ipv6', '1')
  const cut = await layLink(client, server, loss, seed)
  // From the start a window that no run fills, and nothing remembered of the run before.
  sysctl(client, 'net.ipv4.tcp_rmem', '4096 4194304 8388608')
  sysctl(server, 'net.ipv4.tcp_no_metrics_save', '1')
  const { url, stop } = await start(server)
  const rate = await fetch(client, url, limitSeconds)
  await stop()
  await cut()
  return rate
}

async function startOurs(server: string, dir: string): Promise<Running> {
  const flags = ['--address', '10.77.0.2/24', '--host-address', '10.77.0.254/24']
  const running = await serveInside(server, dir, flags)
  addPort(server, 'sand0')
  return running
}

/** Lays the cable; the answer takes it away again. */
async function layLink(
  client: string,
  server: string,
  loss: number,
  seed: number,
): Promise<() => Promise<void>> {
  const job = { ...LINK, loss, seed, names: ['loss-c', 'loss-s'] }
  const program = `${ROOT}tests/dist/kit/lossyLinkChild.js`
  const child = startInside(client, [process.execPath, program, JSON.stringify(job)])
  child.stderr?.pipe(process.stderr)
  const done = ended(child)
  await Promise.race([
    new Promise(resolve => child.stdout?.once('data', resolve)),
    done.then(code => Promise.reject(new Error(`the link ended with code ${code}`))),
  ])
  ip('-n', client, 'link', 'set', 'loss-s', 'netns', server)
  ip('-n', client, 'address', 'add', `${CLIENT_ADDRESS}/24`, 'dev', 'loss-c')
  ip('-n', server, 'link', 'add', BRIDGE, 'type', 'bridge')
  ip('-n', server, 'address', 'add', `${NGINX_ADDRESS}/32`, 'dev', BRIDGE)
  ip('-n', server, 'link', 'set', BRIDGE, 'up')
  addPort(server, 'loss-s')
  // By route, since a namespace may not choose every algorithm as its default.
  const route = [`${CLIENT_ADDRESS}/32`, 'dev', BRIDGE, 'src', NGINX_ADDRESS]
  ip('-n', server, 'route', 'add', ...route, 'congctl', 'cubic')
  return async () => {
    child.kill('SIGTERM')
    await done
  }
}

function addPort(server: string, name: string): void {
  ip('-n', server, 'link', 'set', name, 'master', BRIDGE)
  ip('-n', server, 'link', 'set', name, 'up')
}

/** Bytes a second that curl(1) gets. */
async function fetch(client: string, url: string, limitSeconds: number): Promise<number> {
  const argv = ['curl', '--disable', '--silent', '--output', '/dev/null', '--max-time']
  const format = '%{http_code} %{size_download} %{time_total}'
  const { code, stdout } = await runInside(
    client,
    [...argv, String(limitSeconds), '--write-out', format, `${url}/large.bin`],
    (limitSeconds + 30) * 1000,
  )
  const [status, bytes, seconds] = stdout.split(' ').map(Number)
  // curl's 28: the time is up.
  if ((code !== 0 && code !== 28) || status !== 200) throw new Error(`curl ${code}: ${stdout}`)
  return bytes / seconds
}

function table(rows: readonly Row[]): string {
  const head = ['loss', 'sandstorm, kB/s', 'Linux CUBIC (nginx), kB/s', 'ratio of the medians']
  const figure = (rates: readonly number[]): string =>
    `${(median(rates) / 1000).toFixed(0)} (spread ${Math.round(spreadPercent(rates))} %)`
  return markdownTable(
    head,
    rows.map(({ loss, sandstorm, nginx }) => [
      `${loss * 100} %`,
      figure(sandstorm),
      figure(nginx),
      (median(sandstorm) / median(nginx)).toFixed(2),
    ]),
  )
}
