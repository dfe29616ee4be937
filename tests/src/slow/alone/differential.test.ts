/**
 * The conformance cases against the Linux kernel, and against us, side by side: a difference that
 * docs/conformance.md does not explain fails. The kernel is the oracle for our scripts, too: a
 * script that a mature TCP does not pass asks for the wrong thing. Linux answers in real time, so
 * no other tests run beside it.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runOnLinux } from '../../conformance/linuxRun.ts'
import { runOurs } from '../../conformance/runOurs.ts'
import { runUnitTests } from '../../conformance/unitTests.ts'
import { judge } from '../../conformance/verdict.ts'
import { needs } from '../../kit/privileges.ts'

/** The longest case waits for 55 s. */
const timeout = 300_000

describe('differential', { ...needs('root', 'tun', 'ip'), timeout }, () => {
  it('finds every difference between ours and Linux explained', async () => {
    const linux = await runOnLinux()
    const [ours, tests] = await Promise.all([runOurs(), runUnitTests()])
    const { problems } = judge({ linux, ours, tests })
    assert.deepEqual(
      problems.map(({ text, what }) => `${text}: ${what}`),
      [],
    )
  })
})
