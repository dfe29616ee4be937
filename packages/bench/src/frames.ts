/**
 * Frames a second of a device alone, no protocol: 1500 bytes, one core each side, beside DPDK's
 * testpmd in the same place, in turns.
 *
 *   memif   sender → receiver: testpmd → testpmd; ours → testpmd; testpmd → ours (the other end is a server)
 *   veth    sender → the kernel, which drops: testpmd with net_af_xdp or net_af_packet; ours with xdp or packet
 *           testpmd with net_af_xdp → receiver: testpmd with net_af_xdp or net_af_packet; ours
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { figure, ratioFigure } from './compare.ts'
import { FRAME_LEN } from './frameLen.ts'
import { few, type Options } from './options.ts'
import { ended, ip, makeNamespace, startInside, sysctl } from './process.ts'
import { markdownTable, median, report } from './report.ts'

const RUN = fileURLToPath(new URL('./framesRun.js', import.meta.url))
const SENDER_CORE = 0
const RECEIVER_CORE = 1
/** Seconds in which frames already pass before those that are measured, and in a quick run. */
const WARM_UP_SECONDS = 2
const QUICK_WARM_UP_SECONDS = 1
/** For both sides to start and to find each other: testpmd writes to 512 MB first. */
const START_SECONDS = 30
const SETTLE_MS = 1000
const POLL_MS = 100

/** A process that says once a second how many frames it has sent or taken. */
interface Counting {
  /**
   * Frames a second, of the seconds after those of the warm-up, which starts with the first frame.
   */
  rate(warmUp: number, seconds: number): Promise<number>
  /** Throws if it has ended by itself. */
  checkAlive(): void
  stop(): Promise<void>
}

function testpmd(
  namespace: string,
  core: number,
  mode: 'txonly' | 'rxonly',
  vdev: string,
): Counting {
  const main = core === SENDER_CORE ? RECEIVER_CORE : SENDER_CORE
  const eal = ['--no-huge', '--no-pci', '--no-telemetry', '-m', '512', '-l', '0,1']
  eal.push(`--main-lcore=${main}`, `--file-prefix=sand-${process.pid}-${core}`, `--vdev=${vdev}`)
  const app = [`--forward-mode=${mode}`, `--txpkts=${FRAME_LEN}`, '--auto-start']
  app.push('--stats-period=1', '--total-num-mbufs=16384')
  const argv = ['stdbuf', '-oL', 'dpdk-testpmd', ...eal, '--', ...app]
  const what = mode === 'txonly' ? 'Tx-pps' : 'Rx-pps'
  return counting(startInside(namespace, argv), text =>
    [...text.matchAll(new RegExp(`${what}:\\s+(\\d+)`, 'g'))].map(([, rate]) => Number(rate)),
  )
}

function ours(
  namespace: string,
  core: number,
  way: 'tx' | 'rx',
  kind: string,
  name: string,
): Counting {
  const argv = ['taskset', '-c', `${core}`, process.execPath, RUN, way, kind, name]
  return counting(startInside(namespace, argv), text => {
    const lines = text.trim().split('\n').filter(Boolean)
    const counts = lines.map(line => JSON.parse(line) as { frames: number; us: number })
    return counts
      .slice(1)
      .map(({ frames, us }, i) => ((frames - counts[i].frames) * 1e6) / (us - counts[i].us))
  })
}

function counting(child: ChildProcess, read: (text: string) => number[]): Counting {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', chunk => {
    stdout += chunk
  })
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const done = ended(child)
  return {
    async rate(warmUp, seconds) {
      const deadline = Date.now() + (START_SECONDS + warmUp + seconds) * 1000
      while (child.exitCode === null && Date.now() < deadline) {
        await sleep(POLL_MS)
        const complete = stdout.slice(0, stdout.lastIndexOf('\n') + 1)
        const rates = read(complete)
        const first = rates.findIndex(rate => rate > 0)
        const measured = first < 0 ? [] : rates.slice(first + warmUp)
        if (measured.length >= seconds) return median(measured.slice(0, seconds))
      }
      throw new Error(`too few frames were counted: ${stderr.trim()}`)
    },
    checkAlive() {
      if (child.exitCode !== null) throw new Error(stderr.trim())
    },
    async stop() {
      child.kill('SIGTERM')
      await done
    },
  }
}

type Scene = () => Promise<Counting[]> | Counting[]

interface Row {
  readonly what: string
  readonly testpmd: readonly number[]
  readonly ours: readonly number[]
}

/** Runs a scene, whose first process counts. */
async function run(scene: Scene, { seconds, quick }: Options): Promise<number> {
  const all = await scene()
  try {
    const rate = await all[0].rate(quick ? QUICK_WARM_UP_SECONDS : WARM_UP_SECONDS, seconds)
    for (const one of all) one.checkAlive()
    return rate
  } finally {
    for (const one of all) await one.stop()
  }
}

export async function benchFrames(options: Options): Promise<void> {
  const workDir = mkdtempSync(join(tmpdir(), 'sand-frames-'))
  try {
    const rows: Row[] = []
    for (const [what, [theirs, own]] of few(Object.entries(scenes(workDir)), options)) {
      const rates: [number[], number[]] = [[], []]
      for (let pair = 0; pair < options.pairs; pair++) {
        rates[0].push(await run(theirs, options))
        rates[1].push(await run(own, options))
      }
      rows.push({ what, testpmd: rates[0], ours: rates[1] })
    }
    report('frames', table(rows), { frameLen: FRAME_LEN, rows }, options)
  } finally {
    rmSync(workDir, { recursive: true, force: true })
  }
}

/** Of each row testpmd's scene, and ours. */
function scenes(workDir: string): Record<string, [Scene, Scene]> {
  const near = makeNamespace()
  const far = makeNamespace()
  ip('link', 'add', 'near0', 'netns', near, 'type', 'veth', 'peer', 'far0', 'netns', far)
  for (const [namespace, name] of [
    [near, 'near0'],
    [far, 'far0'],
  ]) {
    sysctl(namespace, 'net.ipv6.conf.all.disable_ipv6', '1')
    ip('-n', namespace, 'link', 'set', name, 'up')
  }
  let count = 0
  const socket = (): string => join(workDir, `${count++}.sock`)
  const memif = (path: string, role: string): string =>
    `net_memif0,role=${role},socket=${path},socket-abstract=no,bsize=2048`
  const onNear: Record<string, string> = {
    xdp: 'net_af_xdp0,iface=near0,start_queue=0,queue_count=1',
    packet: 'net_af_packet0,iface=near0,framesz=2048,blocksz=4096',
  }
  const generator = (): Counting =>
    testpmd(far, SENDER_CORE, 'txonly', 'net_af_xdp0,iface=far0,start_queue=0,queue_count=1')
  /** A server at a socket of its own, and the other end; the receiver counts. */
  const sendScene =
    (client: (path: string) => Counting): Scene =>
    async () => {
      const path = socket()
      const server = testpmd(near, RECEIVER_CORE, 'rxonly', memif(path, 'server'))
      await isThere(path)
      return [server, client(path)]
    }
  const receiveScene =
    (client: (path: string) => Counting): Scene =>
    async () => {
      const path = socket()
      const server = testpmd(near, SENDER_CORE, 'txonly', memif(path, 'server'))
      await isThere(path)
      return [client(path), server]
    }
  const rows: Record<string, [Scene, Scene]> = {
    'memif, send': [
      sendScene(path => testpmd(near, SENDER_CORE, 'txonly', memif(path, 'client'))),
      sendScene(path => ours(near, SENDER_CORE, 'tx', 'memif', path)),
    ],
    'memif, receive': [
      receiveScene(path => testpmd(near, RECEIVER_CORE, 'rxonly', memif(path, 'client'))),
      receiveScene(path => ours(near, RECEIVER_CORE, 'rx', 'memif', path)),
    ],
  }
  for (const kind of ['xdp', 'packet']) {
    rows[`${kind} on veth, send`] = [
      () => [testpmd(near, SENDER_CORE, 'txonly', onNear[kind])],
      () => [ours(near, SENDER_CORE, 'tx', kind, 'near0')],
    ]
    rows[`${kind} on veth, receive`] = [
      () => [testpmd(near, RECEIVER_CORE, 'rxonly', onNear[kind]), generator()],
      () => [ours(near, RECEIVER_CORE, 'rx', kind, 'near0'), generator()],
    ]
  }
  return rows
}

/** DPDK's client wants its server there, and ready. */
async function isThere(path: string): Promise<void> {
  while (!existsSync(path)) await sleep(50)
  await sleep(SETTLE_MS)
}

function table(rows: readonly Row[]): string {
  const head = ['device', 'testpmd, frames/s', 'ours, frames/s', 'ratio']
  return markdownTable(
    head,
    rows.map(({ what, testpmd, ours }) => [
      what,
      figure(testpmd, 0),
      figure(ours, 0),
      ratioFigure(ours, testpmd),
    ]),
  )
}
