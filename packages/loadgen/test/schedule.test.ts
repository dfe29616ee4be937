/** When requests begin, and what several threads have counted in all. */
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { Schedule } from '../src/schedule.ts'
import { CHECKSUM, LENGTH, Tally } from '../src/tally.ts'

const AT = 5e6

describe('a closed loop', () => {
  it('lets a request begin whenever somebody asks, to the end of its number', () => {
    const schedule = new Schedule({ count: 2, durationUs: 0, rate: 0 })
    assert.ok(!schedule.isDue(AT) && !schedule.isOver(AT), 'not before it begins')
    schedule.begin(AT)
    assert.equal(schedule.take(AT + 7), AT + 7)
    assert.ok(schedule.isDue(AT + 9e6))
    schedule.take(AT + 9e6)
    assert.ok(schedule.isOver(AT + 9e6) && !schedule.isDue(AT + 9e6))
    assert.equal(schedule.waitUs(AT), -1)
    assert.equal(schedule.overdue(AT + 9e6), 0)
  })

  it('ends with its time', () => {
    const schedule = new Schedule({ count: 0, durationUs: 1000, rate: 0 })
    schedule.begin(AT)
    assert.ok(schedule.isDue(AT + 999))
    assert.ok(schedule.isOver(AT + 1000) && !schedule.isDue(AT + 1000))
    assert.equal(schedule.elapsedUs(AT + 1000), 1000)
  })
})

describe('an open loop', () => {
  it('has fixed times, whenever somebody asks', () => {
    const schedule = new Schedule({ count: 4, durationUs: 0, rate: 1000 })
    assert.deepEqual([schedule.waitUs(AT), schedule.overdue(AT + 9e6)], [-1, 0])
    schedule.begin(AT)
    assert.equal(schedule.take(AT), AT)
    assert.ok(!schedule.isDue(AT + 999))
    assert.equal(schedule.waitUs(AT + 400), 600)
    // Late, and two at once: they count from when they were due.
    assert.equal(schedule.overdue(AT + 2500), 2)
    assert.equal(schedule.take(AT + 2500), AT + 1000)
    assert.equal(schedule.take(AT + 2500), AT + 2000)
    assert.equal(schedule.overdue(AT + 2500), 0)
    assert.equal(schedule.overdue(AT + 9e6), 1)
  })

  it('begins later for the second of two threads', () => {
    const schedule = new Schedule({ count: 0, durationUs: 10_000, rate: 500, offsetUs: 1000 })
    schedule.begin(AT)
    assert.ok(!schedule.isDue(AT))
    assert.equal(schedule.waitUs(AT), 1000)
    assert.equal(schedule.overdue(AT + 9e6), 5)
    assert.deepEqual([schedule.take(AT + 1000), schedule.take(AT + 3000)], [AT + 1000, AT + 3000])
  })
})

describe('the tally of two threads', () => {
  const tallyOf = (hash: number, bodyBytes: number): Tally => {
    const tally = new Tally()
    for (let n = 0; n < 3; n++) assert.ok(tally.addAnswer(200, bodyBytes, true))
    tally.check(hash)
    tally.opened = 2
    tally.seconds = bodyBytes
    return tally
  }
  const sumOf = (...tallies: Tally[]): Tally => {
    const sum = new Tally()
    for (const tally of tallies) sum.add(structuredClone(tally.data()))
    return sum
  }

  it('is the sum, with the longer time', () => {
    const { answers, opened, seconds, checked, statuses, errorCount } = sumOf(
      tallyOf(7, 100),
      tallyOf(7, 100),
    )
    assert.deepEqual([answers, opened, seconds, checked, errorCount], [6, 4, 100, 2, 0])
    assert.equal(statuses[200], 6)
  })

  it('sees that their first answers differ', () => {
    assert.equal(sumOf(tallyOf(7, 100), tallyOf(8, 100)).errors[CHECKSUM], 1)
    assert.equal(sumOf(tallyOf(7, 100), tallyOf(7, 99)).errors[LENGTH], 1)
  })
})

test('a tally compares with the first right answer alone', () => {
  const tally = new Tally()
  assert.ok(!tally.addAnswer(503, 9, true))
  assert.ok(tally.addAnswer(200, 5, true))
  assert.ok(!tally.addAnswer(200, 9, true))
  assert.ok(!tally.addAnswer(200, 5, false))
  assert.equal(tally.errorCount, 3)
})
