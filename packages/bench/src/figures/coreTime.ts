/**
 * What a CPU's time goes to (proc(5), /proc/stat), in ticks of 10 ms. Idle time the kernel measures
 * (NO_HZ), so what is left of the clock's time is how long the CPU was busy. Of user, system and
 * softirq it only counts which it finds at its own tick, 250 times a second here: shares of a CPU
 * that is busy, but who works for a moment each millisecond is found always, or never
 * (docs/decisions.md, "Ticks and load").
 */
import { readFileSync } from 'node:fs'

/** As /proc/stat counts, whatever the kernel's own are (USER_HZ). */
export const TICKS_PER_SECOND = 100

/** Since the system's start; `clock` from any time on. */
export interface CoreCount {
  readonly clock: number
  readonly user: number
  readonly system: number
  readonly softirq: number
  /** Nothing to do, waiting for a disk, or not ours: the host gave the CPU to another guest. */
  readonly away: number
}

/** Between two counts. */
export interface CoreTime {
  readonly busy: number
  /** Of what was found running, from 0 to 1. */
  readonly userShare: number
}

export function readCoreCount(cpu: number): CoreCount {
  const clock = (performance.now() / 1000) * TICKS_PER_SECOND
  return parseCoreCount(readFileSync('/proc/stat', 'utf8'), cpu, clock)
}

export function parseCoreCount(stat: string, cpu: number, clock: number): CoreCount {
  const line = stat.split('\n').find(text => text.startsWith(`cpu${cpu} `))
  if (line === undefined) throw new Error(`/proc/stat has no cpu${cpu}`)
  const [user, nice, system, idle, ioWait, irq, softirq, steal] = line
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const away = idle + ioWait + steal
  return { clock, user: user + nice, system, softirq: irq + softirq, away }
}

export function between(a: CoreCount, b: CoreCount): CoreTime {
  const user = b.user - a.user
  const found = user + b.system - a.system + b.softirq - a.softirq
  const busy = b.clock - a.clock - (b.away - a.away)
  return { busy: Math.max(0, busy), userShare: found === 0 ? 0 : user / found }
}
