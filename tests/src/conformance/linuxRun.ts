/**
 * Runs all cases against the Linux kernel: one namespace and one process per group, all at once.
 */
import { join } from 'node:path'
import { run } from '../kit/command.ts'
import { Namespace } from '../kit/namespace.ts'
import { groupsForLinux } from './linuxGroups.ts'
import type { Outcome } from './runCase.ts'

const CHILD = join(import.meta.dirname, 'linuxChild.js')

/**
 * Outcomes by the text of the requirement. `only`: a pattern for its text. Needs root and
 * /dev/net/tun.
 */
export async function runOnLinux(only = ''): Promise<Map<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  await Promise.all(
    groupsForLinux().map(async (group, index) => {
      if (!group.requirements.some(({ text }) => new RegExp(only).test(text))) return
      const namespace = new Namespace()
      try {
        const argv = [process.execPath, '--enable-source-maps', CHILD, `${index}`, only]
        const { code, stdout, stderr } = await run(argv, { namespace, limitMs: 240_000 })
        if (code !== 0) throw new Error(`cases on Linux: exit code ${code}\n${stderr}`)
        for (const line of stdout.split('\n').filter(Boolean)) {
          const [text, outcome] = JSON.parse(line) as [string, Outcome]
          outcomes.set(text, outcome)
        }
      } finally {
        namespace.remove()
      }
    }),
  )
  return outcomes
}
