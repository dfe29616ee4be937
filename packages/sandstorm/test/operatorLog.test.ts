/**
 * Lines for who runs the server: by level, one line each, and held back where others choose the
 * rate.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { LOG_LEVELS, type LogLevel, OperatorLog } from '../src/log/operatorLog.ts'

function make(level?: LogLevel): { log: OperatorLog; out: string[] } {
  const out: string[] = []
  const log = new OperatorLog({ level, write: text => out.push(text), hasStats: true })
  return { log, out }
}

test('a level prints itself and all that is graver', () => {
  const count = (level: LogLevel | undefined): number => {
    const { log, out } = make(level)
    for (const name of LOG_LEVELS) log[name](name)
    return out.length
  }
  assert.deepEqual(
    LOG_LEVELS.map(level => count(level)),
    [1, 2, 3, 4],
  )
  assert.equal(count(undefined), 3)
  assert.ok(make('debug').log.shows('debug') && !make('warn').log.shows('info'))
})

test('a line has the prefix, and counters are JSON', () => {
  const { log, out } = make()
  log.warn('it rains')
  log.stats({ a: 1 })
  assert.deepEqual(out, ['sandstorm: it rains\n', 'stats {"a":1}\n'])
})

test('a line is one line, and no terminal obeys it', () => {
  const { log, out } = make()
  log.info('a \r\n b\x1b[2J\u202e\u2028\x85')
  assert.deepEqual(out, ['sandstorm: a b\\u001b[2J\\u202e\\u2028\\u0085\n'])
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const { log, out } = make()
      log.error(text)
      assert.match(out[0], /^sandstorm: [^\p{Cc}\u2028\u2029]*\n$/u)
    }),
  )
})

test('a line that is too long is cut', () => {
  const { log, out } = make()
  log.info('x'.repeat(100_000))
  assert.ok(out[0].length < 4100 && out[0].endsWith('x...\n'))
})

test('of lines that repeat themselves the first is printed, then the last with their number', async () => {
  const { log, out } = make()
  for (let i = 0; i < 1000; i++) log.limited('a', `line ${i}`, 30)
  log.limited('b', 'another', 30)
  assert.deepEqual(out, ['sandstorm: line 0\n', 'sandstorm: another\n'])
  await sleep(150)
  assert.deepEqual(out.slice(2), ['sandstorm: line 999 (and 998 more)\n'])
  log.limited('a', 'again', 30)
  assert.equal(out[3], 'sandstorm: again\n')
})

test('what is held back comes out at the end', () => {
  const { log, out } = make()
  log.limited('a', 'one', 60_000)
  log.limited('a', 'two', 60_000)
  log.flush()
  log.flush()
  assert.deepEqual(out, ['sandstorm: one\n', 'sandstorm: two\n'])
})

test('keys that are held back are bounded', () => {
  const { log, out } = make()
  for (let i = 0; i < 10_000; i++) log.limited(`key ${i}`, 'line', 60_000)
  assert.equal(out.length, 256)
  log.flush()
})
