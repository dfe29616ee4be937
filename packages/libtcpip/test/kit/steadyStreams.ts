/**
 * A process of its own for invariant 3 (nothing is allocated per packet), with streams: pieces of
 * 700 bytes go to an echo and come back. Run with --trace-gc, as kit/steady.ts. Prints the heap's
 * growth as JSON.
 */
import { Streams, streamsRegionBytes } from '../../src/index.ts'
import { Pair } from './pair.ts'

const options = { maxStreams: 4, sendBytes: 4096, receiveBytes: 4096 }
const PIECES = 100_000
const WARM_UP = 20_000

const pair = new Pair(region => new Streams(region, options), {
  tcp: { maxConnections: 4, receiveWindow: 4096 },
  regionBytes: 2 * streamsRegionBytes(options),
})
pair.appA.attach(pair.a)
pair.appB.attach(pair.b)

const echoed = new Uint8Array(4096)
pair.appB.listen(7, {
  onData: stream => {
    stream.write(echoed, 0, stream.read(echoed))
  },
})
const piece = new Uint8Array(700)
const back = new Uint8Array(4096)
let pieces = 0
let received = 0
pair.appA.connect('10.0.0.2', 7, {
  onConnect: stream => {
    stream.write(piece)
  },
  onData: stream => {
    received += stream.read(back)
    if (received < (pieces + 1) * piece.length) return
    pieces++
    stream.write(piece)
  },
})

function run(count: number): void {
  const until = pieces + count
  while (pieces < until) {
    pair.nowUs += 50
    pair.a.poll(pair.nowUs)
    pair.b.poll(pair.nowUs)
  }
}

run(WARM_UP)
globalThis.gc?.()
const before = process.memoryUsage().heapUsed
console.log('begin')
const { stats } = pair.a.tcp
const [fromPieces, fromSegments] = [pieces, stats.inSegs + stats.outSegs]
run(PIECES)
console.log('end')
globalThis.gc?.()
console.log(
  JSON.stringify({
    pieces: pieces - fromPieces,
    segments: stats.inSegs + stats.outSegs - fromSegments,
    retransmissions: stats.retransSegs,
    retainedBytes: process.memoryUsage().heapUsed - before,
  }),
)
