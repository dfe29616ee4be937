/**
 * What /proc/stat says of a process that is busy for 60 µs of each millisecond, at ten phases of
 * the clock (src/figures/coreTime.ts): `taskset -c 0 node packages/bench/dist/test/measureTicks.js`
 */
import { spawnSync } from 'node:child_process'
import { between, readCoreCount } from '../src/figures/coreTime.ts'

const [CPU, SECONDS, BUSY_NS] = [1, 1.2, 60_000n]

/** Busy at so many tenths of each millisecond of the system's clock. */
function work(phase: number): void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const now = process.hrtime.bigint
  const end = now() + BigInt(SECONDS * 1e9)
  for (let at = (now() / 1_000_000n) * 1_000_000n + BigInt(phase) * 100_000n; at < end; ) {
    at += 1_000_000n
    Atomics.wait(cell, 0, 0, Math.max(0, Number(at - now()) / 1e6))
    for (const from = now(); now() - from < BUSY_NS; );
  }
}

const [, script, phase] = process.argv
if (phase !== undefined) {
  work(Number(phase))
} else {
  for (let tenths = 0; tenths < 10; tenths++) {
    const before = readCoreCount(CPU)
    spawnSync('taskset', ['-c', `${CPU}`, process.execPath, script, `${tenths}`])
    const after = readCoreCount(CPU)
    const [from, to] = [before, after].map(({ user, system, softirq }) => user + system + softirq)
    const { busy } = between(before, after)
    console.log(`0.${tenths} ms: found at ${to - from} ticks, not idle for ${busy.toFixed(0)}`)
  }
}
