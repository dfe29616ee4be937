/**
 * A reporter for `node --test` (node:test, "Custom reporters"): one JSON line per test that ran.
 */
import { relative } from 'node:path'
import type { TestEvent } from 'node:test/reporters'

/** A finished test: its file below the clone, as compiled, and whether it passed. */
export interface Ran {
  readonly file: string
  readonly name: string
  readonly passed: boolean
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.skip !== undefined || data.todo !== undefined) continue
    const file = relative(process.cwd(), data.file ?? '')
    const ran: Ran = { file, name: data.name, passed: type === 'test:pass' }
    yield `${JSON.stringify(ran)}\n`
  }
}
