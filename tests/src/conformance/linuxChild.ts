/**
 * The process that runs cases against Linux, inside a network namespace: `node linuxChild.js GROUP`.
 * Every case has a TAP, a subnet and a server of its own, so that many run side by side; those that
 * want another kernel setting are in a group, and so in a namespace, of their own.
 *
 * Prints one JSON line per case: [its text, its outcome].
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { LinuxTarget } from './linux.ts'
import { groupsForLinux } from './linuxGroups.ts'
import { runCase } from './runCase.ts'

/** What every namespace has: nothing remembered of earlier connections, no pacing, no chatter. */
const SYSCTL: Record<string, string> = {
  'net.ipv4.tcp_no_metrics_save': '1',
  'net.ipv4.tcp_congestion_control': 'reno',
  'net.ipv4.tcp_wmem': '4096 4000000 16000000',
  'net.ipv6.conf.default.router_solicitations': '0',
}

/** All at once would be in each other's way: an answer that comes 200 ms late is a time-out. */
const STAGGER_MS = 50

const only = process.argv[3] === undefined ? undefined : new RegExp(process.argv[3])
const group = groupsForLinux()[Number(process.argv[2])]
for (const [name, value] of Object.entries({ ...SYSCTL, ...group.sysctl })) {
  writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, value)
}

const waiting = group.requirements.filter(({ text }) => only === undefined || only.test(text))
let next = 0
async function work(): Promise<void> {
  while (next < waiting.length) {
    const requirement = waiting[next++]
    const target = await LinuxTarget.make(next, requirement.setup ?? {})
    const outcome = await runCase(requirement, target)
    process.stdout.write(`${JSON.stringify([requirement.text, outcome])}\n`)
  }
}

const workers: Promise<void>[] = []
for (let i = 0; i < Math.min(group.sideBySide, waiting.length); i++) {
  workers.push(work())
  await sleep(STAGGER_MS)
}
await Promise.all(workers)
process.exit(0)
