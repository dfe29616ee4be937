/** What a CPU's time goes to (proc(5), /proc/stat): user, system and softirq, in ticks of 10 ms. */
import { readFileSync } from 'node:fs'

/** As /proc/stat counts, whatever the kernel's own are (USER_HZ). */
export const TICKS_PER_SECOND = 100

export interface CoreTime {
  readonly user: number
  readonly system: number
  readonly softirq: number
  /** All of these: neither idle, nor waiting for a disk, nor the host's. */
  readonly busy: number
}

export function readCoreTime(cpu: number): CoreTime {
  return parseCoreTime(readFileSync('/proc/stat', 'utf8'), cpu)
}

export function parseCoreTime(stat: string, cpu: number): CoreTime {
  const line = stat.split('\n').find(text => text.startsWith(`cpu${cpu} `))
  if (line === undefined) throw new Error(`/proc/stat has no cpu${cpu}`)
  const [user, nice, system, , , irq, softirq] = line.split(/\s+/).slice(1).map(Number)
  const busy = user + nice + system + irq + softirq
  return { user: user + nice, system, softirq: irq + softirq, busy }
}

export const since = (a: CoreTime, b: CoreTime): CoreTime => ({
  user: b.user - a.user,
  system: b.system - a.system,
  softirq: b.softirq - a.softirq,
  busy: b.busy - a.busy,
})
