/** The line that tells how far loading has come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoadProgress } from '../src/log/loadProgress.ts'

const MIB = 2 ** 20

function make(): { progress: LoadProgress; written: string[]; pass: (ms: number) => void } {
  let nowMs = 1000
  const written: string[] = []
  const progress = new LoadProgress(
    text => written.push(text),
    () => nowMs,
  )
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { progress, written, pass }
}

test('files, bytes and seconds, redrawn ten times a second, and wiped away at the end', () => {
  const { progress, written, pass } = make()
  pass(240)
  progress.update(25, 100, 50 * MIB, 200 * MIB)
  progress.update(26, 100, 51 * MIB, 200 * MIB)
  pass(100)
  progress.update(50, 100, 100 * MIB, 200 * MIB)
  progress.update(100, 100, 200 * MIB, 200 * MIB)
  assert.deepEqual(
    written.map(text => text.replace('\r\x1b[K', '')),
    [
      'loading [#####               ] 25 of 100 files, 50 of 200 MiB, 0.2 s',
      'loading [##########          ] 50 of 100 files, 100 of 200 MiB, 0.3 s',
      '',
    ],
  )
})

test('a short load says nothing, and empty files have their share', () => {
  const { progress, written, pass } = make()
  pass(100)
  progress.update(1, 2, 0, 0)
  progress.update(2, 2, 0, 0)
  assert.deepEqual(written, [])
  const slow = make()
  slow.pass(300)
  slow.progress.update(1, 2, 0, 0)
  assert.match(slow.written[0], /\[#{10} {10}\] 1 of 2 files/)
})
