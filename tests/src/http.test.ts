/**
 * The questions of docs/http-answers.md, asked of our server on both mounts: every answer is as
 * expected, and none differs from one mount to the other.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { QUESTIONS } from './http/questions.ts'
import { run } from './kit/command.ts'
import { needs } from './kit/privileges.ts'

const MAIN = fileURLToPath(new URL('./http/main.js', import.meta.url))

/** One network namespace for server and clients, gone with the process. */
const alone = (...argv: string[]): string[] => [
  ...['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'],
  ...argv,
]

describe('HTTP', () => {
  for (const [mount, privileges] of [
    ['kernel', ['root', 'ip']],
    ['tap', ['root', 'tun', 'ip']],
  ] as const) {
    it(
      `answers ${QUESTIONS.length} questions as expected: ${mount}`,
      needs(...privileges),
      async () => {
        const argv = alone(process.execPath, '--enable-source-maps', MAIN, mount)
        const { stdout, stderr } = await run(argv, { limitMs: 120_000 })
        const verdicts = stdout
          .split('\n')
          .filter(line => line.startsWith('{'))
          .map(line => JSON.parse(line) as { question: string; verdict: string })
        assert.equal(verdicts.length, QUESTIONS.length, stderr)
        assert.deepEqual(
          verdicts.filter(({ verdict }) => verdict !== ''),
          [],
        )
      },
    )
  }
})
