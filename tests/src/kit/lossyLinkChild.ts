/**
 * The process behind lossyLink.ts: makes two TAPs and carries frames from each to the other, late
 * and not all of them. One thread per direction, which sleeps until a frame arrives or is due.
 *
 * Argument: a LinkJob as JSON. Prints `ready` when the TAPs exist; on SIGTERM it prints its
 * counters as JSON, and the TAPs go with it.
 */
import { once } from 'node:events'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import {
  closeHandle,
  FramePool,
  NO_FRAME,
  OFFLOAD_NONE,
  openTap,
  Region,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
} from '@sandstorm/libnmio'
import type { DirectionStats, LinkJob } from './lossyLink.ts'

/** What one thread is given: where frames come from and go to. */
interface Direction {
  readonly from: TapHandle
  readonly to: TapHandle
  readonly link: Omit<LinkJob, 'names'>
  readonly seed: number
  /** Int32: the stop flag, then SENT, LOST, OVERFLOWED. */
  readonly shared: SharedArrayBuffer
}

const STOP = 0
const SENT = 1
const LOST = 2
const OVERFLOWED = 3
const WORDS = 4

const FRAMES = 2048
const SLEEP_MAX_US = 50_000
/** IEEE 802.3: the EtherType, and the one of ARP (RFC 826), which is never lost. */
const TYPE_OFF = 12
const TYPE_ARP = 0x0806

if (isMainThread) await main(JSON.parse(process.argv[2]) as LinkJob)
else carry(workerData as Direction)

async function main({ names, ...link }: LinkJob): Promise<void> {
  // Without offloads every frame comes finished and no longer than the MTU.
  const [a, b] = names.map(name => openTap({ name, mtu: link.mtu, offloads: false }))
  const directions = [
    [a, b],
    [b, a],
  ].map(([from, to], i): Direction => {
    const shared = new SharedArrayBuffer(4 * WORDS)
    return { from, to, link, seed: 2 * link.seed + i + 1, shared }
  })
  const threads = directions.map(
    direction => new Worker(new URL(import.meta.url), { workerData: direction }),
  )
  process.stdout.write('ready\n')
  await once(process, 'SIGTERM')
  for (const { shared } of directions) Atomics.store(new Int32Array(shared), STOP, 1)
  await Promise.all(threads.map(thread => once(thread, 'exit')))
  process.stdout.write(`${JSON.stringify(directions.map(statsOf))}\n`)
  for (const handle of [a, b]) closeHandle(handle)
}

function statsOf({ shared }: Direction): DirectionStats {
  const words = new Int32Array(shared)
  return { sent: words[SENT], lost: words[LOST], overflowed: words[OVERFLOWED] }
}

/** One thread: takes frames from one TAP, keeps them for their time, gives them to the other. */
function carry({ from, to, link, seed, shared }: Direction): void {
  const { mtu, delayUs, bytesPerSecond, queueBytes, loss } = link
  const shift = Math.ceil(Math.log2(mtu + 256))
  const bytes = tapRegionBytes(from) + tapRegionBytes(to) + (FRAMES << shift) + 65536
  const region = new Region(bytes)
  const [rx, tx] = [new TapDevice(from, region, region), new TapDevice(to, region, region)]
  const pool = new FramePool(region, FRAMES, shift)
  const chance = makeChance(seed)
  const words = new Int32Array(shared)
  // A ring of what is under way: due times never fall.
  const dueUs = new Float64Array(FRAMES)
  const frames = new Int32Array(FRAMES)
  const lens = new Int32Array(FRAMES)
  let head = 0
  let count = 0
  let busyUntilUs = 0

  const admit = (off: number, len: number, nowUs: number): void => {
    words[SENT]++
    const waitingUs = Math.max(0, busyUntilUs - nowUs)
    const frame = pool.alloc()
    if ((waitingUs * bytesPerSecond) / 1e6 + len > queueBytes || frame === NO_FRAME) {
      words[OVERFLOWED]++
      if (frame !== NO_FRAME) pool.free(frame)
      return
    }
    busyUntilUs = nowUs + waitingUs + (len * 1e6) / bytesPerSecond
    if (region.view.getUint16(off + TYPE_OFF) !== TYPE_ARP && chance(loss)) {
      words[LOST]++
      pool.free(frame)
      return
    }
    region.bytes.copyWithin(pool.payloadOff(frame), off, off + len)
    const at = (head + count++) % FRAMES
    dueUs[at] = busyUntilUs + delayUs
    frames[at] = frame
    lens[at] = len
  }

  const sendDue = (nowUs: number): void => {
    while (count > 0 && dueUs[head] <= nowUs && tx.txSpace() > 0) {
      tx.push(pool.payloadOff(frames[head]), lens[head], OFFLOAD_NONE)
      pool.sent(frames[head])
      head = (head + 1) % FRAMES
      count--
    }
    tx.flush()
    const done = tx.reclaim()
    for (let i = 0; i < done; i++) pool.complete(tx.doneOff[i])
  }

  while (Atomics.load(words, STOP) === 0) {
    const nowUs = performance.now() * 1000
    const received = rx.rx()
    for (let i = 0; i < received; i++) admit(rx.rxOff[i], rx.rxLen[i], nowUs)
    sendDue(nowUs)
    if (received > 0) continue
    const idleUs = count > 0 ? dueUs[head] - performance.now() * 1000 : SLEEP_MAX_US
    if (idleUs > 0) rx.wait(Math.min(SLEEP_MAX_US, Math.ceil(idleUs)))
  }
}

/** A seeded source of accidents: xorshift32 (Marsaglia 2003). */
function makeChance(seed: number): (probability: number) => boolean {
  let x = Math.imul(seed, 0x9e3779b1) | 1
  const next = (): number => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return x >>> 0
  }
  for (let i = 0; i < 16; i++) next()
  return probability => next() < probability * 2 ** 32
}
