/**
 * The process that runs cases against Linux, inside a network namespace:
 * `node linuxChild.js GROUP`. Every case has a TAP, a subnet and a server of its own, so that many
 * run side by side; those that want another kernel setting are in a group, and so in a namespace,
 * of their own.
 *
 * Prints one JSON line per case: [its text, its outcome].
 */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { LinuxTarget } from './linux.ts'
import { groupsForLinux } from './linuxGroups.ts'
import type { Requirement } from './requirement.ts'
import { type Outcome, runCase } from './runCase.ts'

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
let made = 0
async function runOne(requirement: Requirement): Promise<Outcome> {
  return await runCase(requirement, await LinuxTarget.make(++made, requirement.setup ?? {}))
}

/** Real time may be late when the machine is busy: what failed so is run once more, by itself. */
const again: Requirement[] = []
const isExpected = ({ deviates }: Requirement, { passed }: Outcome): boolean =>
  passed === (deviates?.linux === undefined)
const say = (requirement: Requirement, outcome: Outcome): boolean =>
  process.stdout.write(`${JSON.stringify([requirement.text, outcome])}\n`)

async function work(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const outcome = await runOne(next)
    if (isExpected(next, outcome)) say(next, outcome)
    else again.push(next)
  }
}

const workers: Promise<void>[] = []
for (let i = Math.min(group.sideBySide, waiting.length); i > 0; i--) {
  workers.push(work())
  await sleep(STAGGER_MS)
}
await Promise.all(workers)
for (const requirement of again) say(requirement, await runOne(requirement))
process.exit(0)
