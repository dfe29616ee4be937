/** The arithmetic of a report, and the reading of what wrk prints. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseOptions } from '../src/options.ts'
import { markdownTable, median, quantile, spreadPercent } from '../src/report.ts'
import { parseWrk } from '../src/wrk.ts'

const SUMMARY = `Running 1s test @ http://10.78.0.2:80/1024.bin
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   648.07us    1.02ms  17.29ms   91.43%
    Req/Sec   135.31k     9.93k  147.95k    80.00%
  Latency Distribution
     50%  409.00us
     75%  593.00us
     90%    1.00ms
     99%    4.43ms
  134802 requests in 1.00s, 168.13MB read
Requests/sec: 134670.59
Transfer/sec:    167.97MB
`

describe('a report', () => {
  it('takes the middle of an odd number of values, the mean of the middle two of an even one', () => {
    assert.equal(median([3, 1, 2]), 2)
    assert.equal(median([10, 1, 2, 3]), 2.5)
  })

  it('takes the value that a share of them is not above', () => {
    const values = Array.from({ length: 40 }, (_, i) => 40 - i)
    assert.equal(quantile(values, 0.05), 2)
    assert.equal(quantile(values, 1), 40)
    assert.equal(quantile([7], 0.05), 7)
  })

  it('gives the spread in percent of the median', () => {
    assert.equal(spreadPercent([90, 100, 120]), 30)
  })

  it('writes a markdown table', () => {
    assert.equal(markdownTable(['a', 'b'], [['1', '2']]), '| a | b |\n| --- | --- |\n| 1 | 2 |')
  })
})

describe('a run of wrk', () => {
  it('has a rate, and latencies in any unit', () => {
    const times = { meanUs: 648.07, p99Us: 4430 }
    assert.deepEqual(parseWrk(SUMMARY), { requestsPerSecond: 134670.59, ...times, refused: '' })
    const slow = parseWrk(SUMMARY.replace('648.07us', '1.25s').replace('4.43ms', '0.50m'))
    assert.deepEqual([slow.meanUs, slow.p99Us], [1_250_000, 30_000_000])
  })

  for (const line of [
    'Socket errors: connect 0, read 3, write 0, timeout 0',
    'Non-2xx or 3xx responses: 12',
  ]) {
    it(`is refused with “${line}”`, () => {
      const run = parseWrk(SUMMARY.replace('Requests/sec', `  ${line}\nRequests/sec`))
      assert.deepEqual([run.requestsPerSecond, run.refused], [0, line])
    })
  }

  it('is refused when nothing was answered', () => {
    assert.notEqual(parseWrk('Requests/sec:      0.00\n').refused, '')
    assert.notEqual(parseWrk('').refused, '')
  })
})

describe('the options', () => {
  it('are five pairs of five seconds, one of one when quick', () => {
    const usual = parseOptions(['tap'])
    const quick = parseOptions(['--quick'])
    assert.ok(usual !== 'help' && quick !== 'help')
    assert.deepEqual([usual.names, usual.seconds, usual.pairs], [['tap'], 5, 5])
    assert.deepEqual([quick.names, quick.seconds, quick.pairs], [[], 1, 1])
  })

  it('refuse what is no length of time', () => {
    for (const text of ['0', '-1', '1.5', 'x', '601']) {
      assert.throws(() => parseOptions([`--seconds=${text}`]), /--seconds/)
    }
  })
})
