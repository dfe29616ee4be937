/**
 * Serves a number of frames and prints what the heap says. Its own work allocates nothing: the
 * clock is a counter, the client is the benchmark's.
 *
 * node --expose-gc heapChild.js KIND close|keep FRAMES
 */
import type { TransmitKind } from 'sandstorm'
import { oneObject, Pair } from '../src/memoryPair.ts'

const [kind, connection, frames] = process.argv.slice(2)
const collect = globalThis.gc!
const pair = new Pair({
  content: await oneObject(22_528),
  kind: kind as TransmitKind,
  close: connection === 'close',
})
const { server, client } = pair
let nowUs = performance.now() * 1000

function serve(until: number): void {
  while (client.framesIn + client.framesOut < until) {
    nowUs = Math.floor(nowUs) + 50
    server.poll(nowUs, 784111777)
    client.poll()
  }
}

const heap = (): number => process.memoryUsage().heapUsed

// Replicas are made, layouts summed and code compiled before anything is measured.
serve(Number(frames))
collect()
heap()
process.stdout.write('begin\n')
const start = client.framesIn + client.framesOut
const before = heap()
serve(start + Number(frames))
const allocated = heap() - before
const served = client.framesIn + client.framesOut - start
if (client.errors > 0) throw new Error(`${client.errors} errors`)
process.stdout.write('end\n')
collect()
process.stdout.write(`frames ${served} allocated ${allocated} grown ${heap() - before}\n`)
