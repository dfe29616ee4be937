/** The generator over our own TCP, against servers of all manners. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Stream, state, tcb } from '@sandstorm/libtcpip'
import {
  CHECKSUM,
  CONNECT,
  ERROR_NAMES,
  LENGTH,
  PROTOCOL,
  RESET,
  STATUS,
  TIMEOUT,
} from '../src/tally.ts'
import { Bench, type BenchOptions, OK_ANSWER, say } from './kit/bench.ts'

const good: BenchOptions['answer'] = stream => say(stream, OK_ANSWER)
const goodAndClose: BenchOptions['answer'] = stream => say(stream, OK_ANSWER, true)

/** Errors by kind, as the generator counts them. */
function errorsOf(counts: Readonly<Record<number, number>>): number[] {
  return ERROR_NAMES.map((_, kind) => counts[kind] ?? 0)
}

describe('a closed loop', () => {
  it('with keep-alive asks over and over on each connection', () => {
    const bench = new Bench({ connections: 4, count: 1000, answer: good })
    const { answers, opened, statuses, bytes, checked } = bench.run()
    assert.equal(answers, 1000)
    assert.equal(bench.requests.length, 1000)
    assert.equal(opened, 4)
    assert.equal(statuses[200], 1000)
    assert.equal(bytes, 1000 * OK_ANSWER.length)
    assert.equal(checked, Math.ceil(1000 / 64))
    assert.deepEqual(bench.errors, errorsOf({}))
    assert.equal(bench.tally.unfinished, 0)
  })

  it('without keep-alive opens one for each request, and leaves TIME-WAIT to the server', () => {
    const bench = new Bench({ connections: 4, keepAlive: false, count: 300, answer: goodAndClose })
    const { answers, opened, connect, latency } = bench.run()
    assert.equal(answers, 300)
    assert.equal(opened, 300)
    assert.equal(connect.count, 300)
    assert.equal(latency.count, 300)
    assert.deepEqual(bench.errors, errorsOf({}))
    assert.equal(bench.client.tcp.timeWait.count, 0)
    // Opening is part of the latency.
    assert.ok(latency.quantile(0.5) > connect.quantile(0.5))
  })

  it('ends after its time, and counts what was under way', () => {
    const answer: BenchOptions['answer'] = (stream, n) => {
      if (n % 10 !== 9) say(stream, OK_ANSWER)
    }
    const bench = new Bench({ connections: 20, durationUs: 100_000, answer })
    const { answers, seconds, unfinished } = bench.run()
    assert.ok(answers > 50)
    assert.equal(unfinished, 20)
    assert.equal(answers + unfinished, bench.requests.length)
    assert.ok(Math.abs(seconds - 0.1) < 0.001)
    for (let turn = 0; turn < 50; turn++) bench.step()
    assert.equal(bench.client.tcp.table.count, 0)
    assert.equal(bench.server.tcp.table.count, 0)
  })

  it('opens a new connection where the server closes', () => {
    const closing = OK_ANSWER.replace('\r\n', '\r\nConnection: close\r\n')
    const answer: BenchOptions['answer'] = (stream, n) =>
      n % 3 === 2 ? say(stream, closing, true) : say(stream, OK_ANSWER)
    const bench = new Bench({ connections: 1, count: 10, answer })
    assert.equal(bench.run().answers, 10)
    assert.equal(bench.tally.opened, 4)
    assert.deepEqual(bench.errors, errorsOf({}))
  })

  it('comes from several addresses in turn', () => {
    const bench = new Bench({ connections: 6, sources: 3, count: 12, answer: good })
    bench.run()
    const by = (address: string): number => bench.peers.filter(peer => peer === address).length
    assert.deepEqual(['10.0.0.10', '10.0.0.11', '10.0.0.12'].map(by), [2, 2, 2])
  })

  it('sends a request of several segments', () => {
    const request = `GET / HTTP/1.1\r\nX: ${'y'.repeat(4000)}\r\n\r\n`
    const bench = new Bench({ connections: 2, count: 50, request, answer: good })
    assert.equal(bench.run().answers, 50)
    assert.deepEqual(new Set(bench.requests), new Set([request]))
  })
})

describe('over a bad network', () => {
  for (const size of [10, 4000]) {
    it(`a request of ${size} bytes and more is what it was when it is sent again`, () => {
      const request = `GET / HTTP/1.1\r\nX: ${'abcdefg'.repeat(size / 7)}\r\n\r\n`
      const fault = 'drop=0.05,dup=0.05,reorder=0.05,corrupt=0.02,seed=5'
      const run = { connections: 4, count: 400, timeoutUs: 60e6 }
      const bench = new Bench({ ...run, request, fault, answer: good })
      assert.equal(bench.run().answers, 400)
      assert.deepEqual(bench.errors, errorsOf({}))
      assert.deepEqual(new Set(bench.requests), new Set([request]))
      assert.ok(bench.client.tcp.stats.retransSegs > 5)
    })
  }
})

describe('an open loop', () => {
  it('begins requests at their times', () => {
    const bench = new Bench({ connections: 8, count: 100, rate: 1000, answer: good })
    const { answers, seconds, latency } = bench.run()
    assert.equal(answers, 100)
    assert.ok(Math.abs(seconds - 0.099) < 0.002, `${seconds} s`)
    assert.ok(latency.maxUs < 1000)
  })

  it('counts from the intended time, so a stall is seen by all who waited', () => {
    // The server answers nothing from 0.5 s to 0.7 s: one request in five a second waits.
    let stalledUntil = 0
    const answer: BenchOptions['answer'] = (stream, n, bench) => {
      if (n === 500) stalledUntil = bench.nowUs + 200_000
      const waitUs = stalledUntil - bench.nowUs
      if (waitUs > 0) bench.after(waitUs, () => say(stream, OK_ANSWER))
      else say(stream, OK_ANSWER)
    }
    const open = new Bench({ connections: 4, durationUs: 1e6, rate: 1000, answer }).run()
    assert.equal(open.answers, 1000)
    assert.ok(open.latency.maxUs > 200_000)
    assert.ok(open.latency.quantile(0.999) > 190_000, `${open.latency.quantile(0.999)}`)
    // Those who came in the middle of the stall have waited for half of it.
    assert.ok(open.latency.quantile(0.9) > 90_000)
    const closed = new Bench({ connections: 4, count: 1000, answer }).run()
    assert.ok(closed.latency.quantile(0.99) < 1000, 'a closed loop sees it four times')
  })

  it('opens anew what the server closes while nothing is asked', () => {
    const answer: BenchOptions['answer'] = (stream, _, bench) => {
      say(stream, OK_ANSWER)
      bench.after(1000, () => stream.shutdown())
    }
    const bench = new Bench({ connections: 3, count: 100, rate: 200, answer })
    assert.equal(bench.run().answers, 100)
    assert.deepEqual(bench.errors, errorsOf({}))
    assert.ok(bench.tally.opened >= 100)
  })

  for (const [how, end] of [
    ['closes', stream => stream.shutdown()],
    ['resets', stream => stream.abort()],
  ] as const satisfies readonly (readonly [string, (stream: Stream) => void])[])
    it(`counts what the server ${how} before the first request, and opens it anew`, () => {
      const greet: BenchOptions['greet'] = (stream, bench) => {
        if (bench.peers.length <= 6) bench.after(1000, () => end(stream))
      }
      const bench = new Bench({ connections: 4, count: 5, rate: 2, greet, answer: good })
      const { answers, opened, unused } = bench.run()
      // One of the six was asked at once, and had its answer.
      assert.deepEqual([answers, opened, unused], [5, 10, 5])
      assert.deepEqual(bench.errors, errorsOf({}))
    })

  it('says how many were due and never sent', () => {
    const answer: BenchOptions['answer'] = (stream, _, bench) =>
      bench.after(10_000, () => say(stream, OK_ANSWER))
    const { answers, unsent, unfinished } = new Bench({
      ...{ connections: 1, durationUs: 500_000, rate: 1000, answer },
    }).run()
    assert.ok(answers < 60)
    assert.equal(answers + unsent + unfinished, 500)
  })
})

interface Manner {
  readonly name: string
  readonly answer: BenchOptions['answer']
  /** Of 20 requests, of which every tenth, beginning with the sixth, is answered so. */
  readonly errors: Readonly<Record<number, number>>
  readonly answers: number
}

const MANNERS: readonly Manner[] = [
  {
    name: 'says 503',
    answer: stream => say(stream, 'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
    errors: { [STATUS]: 2 },
    answers: 20,
  },
  {
    name: 'sends less than its head says',
    answer: stream => say(stream, OK_ANSWER.slice(0, -1), true),
    errors: { [LENGTH]: 2 },
    answers: 18,
  },
  {
    name: 'sends more than its head says',
    answer: stream => say(stream, `${OK_ANSWER}!`),
    errors: { [LENGTH]: 2 },
    answers: 20,
  },
  {
    name: 'sends another length than before',
    answer: stream => say(stream, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell'),
    errors: { [LENGTH]: 2 },
    answers: 20,
  },
  {
    name: 'closes instead of answering',
    answer: stream => stream.shutdown(),
    errors: { [RESET]: 2 },
    answers: 18,
  },
  {
    name: 'resets',
    answer: stream => stream.abort(),
    errors: { [RESET]: 2 },
    answers: 18,
  },
  {
    name: 'resets in the middle',
    answer: (stream, _, bench) => {
      say(stream, OK_ANSWER.slice(0, 20))
      bench.after(1000, () => stream.abort())
    },
    errors: { [RESET]: 2 },
    answers: 18,
  },
  {
    name: 'does not answer',
    answer: () => {},
    errors: { [TIMEOUT]: 2 },
    answers: 18,
  },
  {
    name: 'speaks something else',
    answer: stream => say(stream, '220 mail.example ESMTP\r\n'),
    errors: { [PROTOCOL]: 2 },
    answers: 18,
  },
]

describe('a server that', () => {
  for (const { name, answer, errors, answers } of MANNERS) {
    for (const keepAlive of [true, false]) {
      it(`${name} is seen, ${keepAlive ? 'with' : 'without'} keep-alive`, () => {
        const bench = new Bench({
          ...{ connections: 2, count: 20, keepAlive },
          answer: (stream, n, bench) => {
            if (n % 10 === 5) answer(stream, n, bench)
            else say(stream, OK_ANSWER, !keepAlive)
          },
        })
        assert.equal(bench.run().answers, answers)
        assert.deepEqual(bench.errors, errorsOf(errors))
        assert.equal(bench.requests.length, 20)
      })
    }
  }

  it('sends another body of the same length is found out by the sample', () => {
    const wrong = OK_ANSWER.replace('hello', 'hallo')
    const answer: BenchOptions['answer'] = (stream, n) => say(stream, n >= 100 ? wrong : OK_ANSWER)
    const bench = new Bench({ connections: 1, count: 200, answer })
    assert.equal(bench.run().answers, 200)
    // Numbers 0, 64, 128 and 192 are looked at.
    assert.deepEqual(bench.errors, errorsOf({ [CHECKSUM]: 2 }))
    assert.equal(bench.tally.checked, 4)
  })

  it('is not there ends the run at once', () => {
    const bench = new Bench({ connections: 4, durationUs: 60e6, isDeaf: true, answer: good })
    const startUs = bench.nowUs
    assert.equal(bench.run().answers, 0)
    assert.deepEqual(bench.errors, errorsOf({ [CONNECT]: 4 }))
    assert.ok(bench.nowUs - startUs < 2e6)
  })

  it('answers 304 without a body is right to', () => {
    const not = 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'
    const bench = new Bench({ connections: 1, count: 5, answer: stream => say(stream, not) })
    assert.equal(bench.run().answers, 5)
    assert.deepEqual(bench.errors, errorsOf({}))
  })

  it('does not close after it has said so is left', () => {
    const closing = OK_ANSWER.replace('\r\n', '\r\nConnection: close\r\n')
    const bench = new Bench({ connections: 1, count: 3, answer: stream => say(stream, closing) })
    assert.equal(bench.run().answers, 3)
    assert.deepEqual(bench.errors, errorsOf({}))
    assert.equal(bench.tally.opened, 3)
  })
})

it('a run that is stopped says what was done so far', () => {
  const bench = new Bench({ connections: 3, durationUs: 60e6, answer: good })
  bench.generator.start(bench.nowUs)
  for (let turn = 0; turn < 1000; turn++) bench.step()
  bench.generator.finish(bench.nowUs)
  const { answers } = bench.tally
  assert.ok(answers > 500)
  assert.ok(Math.abs(bench.tally.seconds - 0.1) < 0.001)
  assert.ok(bench.tally.unfinished <= 3)
  // What still comes is not counted.
  for (let turn = 0; turn < 10; turn++) bench.step()
  assert.equal(bench.tally.answers, answers)
})

it('many answer, time out and end a few at a time, and all of them do', () => {
  const answer: BenchOptions['answer'] = (stream, n) => {
    if (n >= 250) say(stream, OK_ANSWER)
  }
  const bench = new Bench({ connections: 250, durationUs: 800_000, timeoutUs: 300_000, answer })
  const { stats } = bench.client.tcp
  bench.generator.start(bench.nowUs)
  let most = 0
  while (!bench.generator.hasLeft) {
    const before = bench.requests.length + stats.outRsts
    bench.step()
    most = Math.max(most, bench.requests.length + stats.outRsts - before)
  }
  assert.equal(bench.tally.errors[TIMEOUT], 250)
  assert.ok(most <= 192, `${most} requests and resets in a turn`)
  for (let turn = 0; turn < 100; turn++) bench.step()
  assert.equal(bench.client.tcp.table.count, 0)
  assert.equal(bench.server.tcp.table.count, 0)
})

it('many connections are opened a few at a time', () => {
  const bench = new Bench({ connections: 280, count: 1000, answer: good })
  bench.generator.start(bench.nowUs)
  const { tcp } = bench.client
  let most = 0
  let asked = 0
  while (!bench.generator.isOver) {
    bench.step()
    if (asked === 0 && bench.requests.length > 0) asked = bench.tally.opened
    let opening = 0
    for (let c = 0; c < tcp.tcb.length; c += tcb.TCB_STRIDE) {
      if (tcp.tcb[c + tcb.STATE] === state.SYN_SENT) opening++
    }
    if (opening > most) most = opening
  }
  assert.equal(bench.tally.opened, 280)
  // Before the first request all were open.
  assert.equal(asked, 280)
  assert.ok(most > 128 && most <= 256, `${most}`)
})

it('many connections end a few at a time, as fast as the server hears of it', () => {
  const bench = new Bench({ connections: 290, count: 290, answer: good })
  bench.run()
  const { client, generator } = bench
  // The server does nothing for a while.
  for (let turn = 0; turn < 50; turn++) {
    bench.nowUs += 100
    generator.poll(bench.nowUs)
    client.poll(bench.nowUs)
  }
  let ending = 0
  for (let c = 0; c < client.tcp.tcb.length; c += tcb.TCB_STRIDE) {
    if (client.tcp.tcb[c + tcb.STATE] === state.FIN_WAIT_1) ending++
  }
  assert.equal(ending, 256)
  assert.ok(generator.waitUs(bench.nowUs) > 0, 'nothing to do but wait')
  for (let turn = 0; turn < 100; turn++) bench.step()
  assert.ok(generator.hasLeft)
  assert.equal(client.tcp.table.count, 0)
  assert.equal(bench.server.tcp.table.count, 0)
})
