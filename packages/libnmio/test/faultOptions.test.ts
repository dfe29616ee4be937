/** `--fault` as it is written, rightly and wrongly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_FAULTS, parseFault } from '../src/index.ts'

test('the faults of a command line', () => {
  assert.deepEqual(parseFault('drop=0.01,dup=.5,reorder=1,corrupt=0,delay=5ms,seed=42'), {
    drop: 0.01,
    dup: 0.5,
    reorder: 1,
    corrupt: 0,
    delayUs: 5000,
    seed: 42,
  })
  assert.deepEqual(parseFault('seed=4294967295'), { ...NO_FAULTS, seed: 4294967295 })
  assert.equal(parseFault('delay=300us').delayUs, 300)
  assert.equal(parseFault('delay=0.5s').delayUs, 500_000)
})

test('a mistake on the command line is named with what was expected', () => {
  const cases: [string, string, RegExp][] = [
    ['drop=1.01', 'drop=1.01', /probability from 0 to 1/],
    ['drop=', 'drop=', /probability/],
    ['dup=-0.1', 'dup=-0.1', /probability/],
    ['corrupt=1e-2', 'corrupt=1e-2', /probability/],
    ['reorder', 'reorder', /probability/],
    ['drop=0.1,delay=5', 'delay=5', /unit/],
    ['delay=61s', 'delay=61s', /up to 60s/],
    ['delay=-1ms', 'delay=-1ms', /unit/],
    ['seed=4294967296', 'seed=4294967296', /integer from 0/],
    ['seed=x', 'seed=x', /integer/],
    ['loss=0.1', 'loss=0.1', /drop, dup, reorder, corrupt, delay, seed/],
    ['drop=0.1,drop=0.2', 'drop=0.2', /only once/],
    ['drop=0.1,', '', /KEY=VALUE/],
    ['', '', /KEY=VALUE/],
  ]
  for (const [text, item, expected] of cases) {
    assert.throws(
      () => parseFault(text),
      (error: Error) => error.message.includes(`"${item}"`) && expected.test(error.message),
      text,
    )
  }
})
