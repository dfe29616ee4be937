/**
 * A process of its own for invariant 3 (nothing is allocated per packet), the receive side: of
 * every eight segments the first comes last and one comes twice, so that seven wait and are told of
 * by SACK. Run with --trace-gc, as kit/steady.ts. Prints the heap's growth as JSON.
 */
import { ethernet } from '@sandstorm/libeth'
import { ipv4, tcb, tcp } from '../../src/index.ts'
import { established, Host, OUR_ADDR, PEER_ADDR, PEER_PORT } from './host.ts'
import { ACK, setTcpChecksum, writeSegment } from './segment.ts'

const ORDER = [1, 2, 2, 4, 3, 7, 5, 6, 0]
const BYTES = 100
const SEGMENTS = 500_000
const WARM_UP = 100_000
const HEADER = ethernet.HEADER_LEN + ipv4.HEADER_LEN

const t = new Host({ tcp: { delayedAckMs: 40 } })
t.app.recording = false
const c = established(t, { sack: true })
t.take()
t.draining = false

const { view } = t.region
const frames = ORDER.map(() => t.peerFrames.payloadOff(t.peerFrames.alloc()))
let frameLen = 0
for (const off of frames) {
  frameLen = writeSegment(view, off, t.link, {
    src: PEER_ADDR,
    dst: OUR_ADDR,
    srcPort: PEER_PORT,
    dstPort: 80,
    seq: 0,
    ack: t.tcp.tcb[c + tcb.SND_NXT],
    flags: ACK,
    win: 1000,
    data: new Uint8Array(BYTES),
    options: new Uint8Array(0),
  })
}

let segments = 0
let acks = 0

/** One group of segments, each polled by itself; the ACKs are counted. */
function turn(): void {
  const next = t.tcp.tcb[c + tcb.RCV_NXT]
  for (let i = 0; i < ORDER.length; i++) {
    t.wire.reclaim()
    tcp.setSeq(view, frames[i] + HEADER, (next + ORDER[i] * BYTES) | 0)
    setTcpChecksum(view, frames[i])
    t.wire.push(frames[i], frameLen, 0)
    t.wire.flush()
    t.nowUs += 50
    t.stack.poll(t.nowUs)
    for (let n = t.wire.rx(); n > 0; n = t.wire.rx()) acks += n
    segments++
  }
}

function run(count: number): void {
  const until = segments + count
  while (segments < until) turn()
}

run(WARM_UP)
globalThis.gc?.()
const before = process.memoryUsage().heapUsed
console.log('begin')
const [fromSegments, fromAcks] = [segments, acks]
run(SEGMENTS)
console.log('end')
globalThis.gc?.()
console.log(
  JSON.stringify({
    segments: segments - fromSegments,
    acks: acks - fromAcks,
    queued: t.tcp.stats.outOfOrderSegs,
    waiting: t.tcp.reassembly.usedCount,
    retainedBytes: process.memoryUsage().heapUsed - before,
  }),
)
