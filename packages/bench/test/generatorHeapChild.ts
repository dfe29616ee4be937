/**
 * As heapChild.ts, with the load generator for a client: what both of them and two TCPs allocate.
 *
 * node --expose-gc generatorHeapChild.js close|keep FRAMES
 */
import { GeneratorPair } from '../src/generatorPair.ts'
import { oneObject } from '../src/memoryPair.ts'

const [connection, frames] = process.argv.slice(2)
const collect = globalThis.gc!
const { server, client, generator } = new GeneratorPair(
  await oneObject(22_528),
  connection === 'keep',
)
let nowUs = performance.now() * 1000

const moved = (): number => client.device.stats.rxFrames + client.device.stats.txFrames

function serve(until: number): void {
  while (moved() < until) {
    nowUs = Math.floor(nowUs) + 50
    server.poll(nowUs, 784111777)
    generator.poll(nowUs)
    client.poll(nowUs)
  }
}

const heap = (): number => process.memoryUsage().heapUsed

serve(Number(frames))
collect()
heap()
process.stdout.write('begin\n')
const start = moved()
const before = heap()
serve(start + Number(frames))
const allocated = heap() - before
const served = moved() - start
if (generator.tally.errorCount > 0) throw new Error(`${generator.tally.errorCount} errors`)
process.stdout.write('end\n')
collect()
process.stdout.write(`frames ${served} allocated ${allocated} grown ${heap() - before}\n`)
