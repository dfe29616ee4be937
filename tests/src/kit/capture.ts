/** A capture by tshark, of an interface while a test runs. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { collect, start } from './command.ts'
import type { Namespace } from './namespace.ts'

export class Capture {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Begins to write all frames of the interface to `file`. */
  static async start(interfaceName: string, file: string, namespace: Namespace): Promise<Capture> {
    const child = start(['tshark', '-i', interfaceName, '-w', file], { namespace })
    const said = collect(child.stderr)
    while (!/Capture started/.test(said())) {
      const event = await Promise.race([once(child.stderr!, 'data'), once(child, 'close')])
      assert.ok(event.length > 0 && child.exitCode === null, `no capture: ${said()}`)
    }
    return new Capture(child)
  }

  /** Ends it; the file is complete. */
  async stop(): Promise<void> {
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGINT')
    await closed
  }
}
