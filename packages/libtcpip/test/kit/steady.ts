/**
 * A process of its own for invariant 3 (nothing is allocated per packet): 16 established
 * connections, half of them with timestamps, ACKs in and data out, a million segments. Run with
 * --trace-gc; what V8 prints between `begin` and `end` is what the stack made. Prints the heap's growth
 * as JSON. Arguments: `4` or `6` for the version of IP; `paced`, and the round trip is so long that
 * bursts have to wait for their time.
 */
import { ethernet } from '@sandstorm/libeth'
import { ipv4, ipv6, tcb, tcp } from '../../src/index.ts'
import { established, Host, OUR_ADDR, OUR_ADDR6, PEER_ADDR, PEER_ADDR6 } from './host.ts'
import { ACK, setTcpChecksum, timestampsOption, writeSegment } from './segment.ts'

const CONNECTIONS = 16
const SEGMENTS = 1_000_000
const WARM_UP = 200_000
const IPV6: boolean = process.argv[2] === '6'
const HEADER: number = ethernet.HEADER_LEN + (IPV6 ? ipv6 : ipv4).HEADER_LEN

const PACED: boolean = process.argv[3] === 'paced'
const TURN_US: number = PACED ? 10_000 : 50

const t = new Host({
  ipVersion: IPV6 ? 6 : 4,
  ringSize: 512,
  frames: 1024,
  tcp: { pacing: PACED },
})
t.app.recording = false
t.app.doAcked = c => {
  const left = (t.tcp.tcb[c + tcb.SND_END] - t.tcp.tcb[c + tcb.SND_UNA]) | 0
  if (left < 5000) t.tcp.commit(c, 5000)
}
for (let port = 1; port <= CONNECTIONS; port++) {
  const c = established(t, { port, mss: 112, win: 1000, timestamps: port % 2 === 0 })
  t.tcp.commit(c, 5000)
  t.tcp.addWork(c, tcb.NEED_OUTPUT)
}
t.poll()
t.take()
t.draining = false

// One ACK frame per connection, patched in place and sent again and again.
const { view } = t.region
const frameOff = new Int32Array(CONNECTIONS + 1)
const frameLen = new Int32Array(CONNECTIONS + 1)
const next = new Int32Array(CONNECTIONS + 1)
for (let port = 1; port <= CONNECTIONS; port++) {
  frameOff[port] = t.peerFrames.payloadOff(t.peerFrames.alloc())
  next[port] = t.tcp.tcb[t.conn(port) + tcb.SND_NXT]
  frameLen[port] = writeSegment(view, frameOff[port], t.link, {
    src: IPV6 ? PEER_ADDR6 : PEER_ADDR,
    dst: IPV6 ? OUR_ADDR6 : OUR_ADDR,
    srcPort: port,
    dstPort: 80,
    seq: (t.irs + 1) | 0,
    ack: 0,
    flags: ACK,
    win: 1000,
    data: new Uint8Array(0),
    options: Uint8Array.from(port % 2 === 0 ? timestampsOption(t.peerMs, 0) : []),
  })
}

let segments = 0

/** Every connection acknowledges all it got; the stack answers; the answers are read. */
function turn(): void {
  t.wire.reclaim()
  for (let port = 1; port <= CONNECTIONS; port++) {
    tcp.setAck(view, frameOff[port] + HEADER, next[port])
    setTcpChecksum(view, frameOff[port])
    t.wire.push(frameOff[port], frameLen[port], 0)
  }
  t.wire.flush()
  t.nowUs += TURN_US
  t.stack.poll(t.nowUs)
  segments += CONNECTIONS
  for (let n = t.wire.rx(); n > 0; n = t.wire.rx()) {
    for (let i = 0; i < n; i++) {
      const off = t.wire.rxOff[i]
      if (ethernet.type(view, off) !== (IPV6 ? ethernet.TYPE_IPV6 : ethernet.TYPE_IPV4)) continue
      const header = off + HEADER
      const dataLen = t.wire.rxLen[i] - HEADER - tcp.headerLen(view, header)
      const end = (tcp.seq(view, header) + dataLen) | 0
      const port = tcp.dstPort(view, header)
      if (((end - next[port]) | 0) > 0) next[port] = end
      segments++
    }
  }
}

function run(count: number): number {
  const until = segments + count
  while (segments < until) turn()
  return segments
}

run(WARM_UP)
globalThis.gc?.()
const before = process.memoryUsage().heapUsed
console.log('begin')
const from = segments
run(SEGMENTS)
console.log('end')
const scavenged = process.memoryUsage().heapUsed - before
globalThis.gc?.()
console.log(
  JSON.stringify({
    segments: segments - from,
    allocatedBytes: scavenged,
    retainedBytes: process.memoryUsage().heapUsed - before,
    dataSegments: t.tcp.stats.outSegs,
    timeouts: t.tcp.stats.timeouts,
    pacingDelays: t.tcp.stats.pacingDelays,
  }),
)
