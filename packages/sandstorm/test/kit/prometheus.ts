/**
 * A strict reader of Prometheus's text format 0.0.4: what promtool would complain of is an error
 * here.
 */
import assert from 'node:assert/strict'

export interface Family {
  readonly kind: string
  readonly help: string
  /** By name and labels as written: `a_total{x="y"}`. */
  readonly samples: Map<string, number>
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"'
const NUMBER = '[+-]?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf)|NaN'
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`)
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (${NUMBER})$`)

/** The families of a page, by name; throws if anything is not as it should be. */
export function parseMetrics(page: string): Map<string, Family> {
  assert.ok(page.endsWith('\n'), 'the last line has an end')
  const families = new Map<string, Family>()
  let name = ''
  let help = ''
  for (const line of page.slice(0, -1).split('\n')) {
    const comment = COMMENT.exec(line)
    if (comment?.[1] === 'HELP') {
      ;[, , name, help] = comment
      assert.ok(!families.has(name), `${name} comes once`)
    } else if (comment !== null) {
      assert.equal(comment[2], name, 'TYPE follows HELP')
      assert.match(comment[3], /^(counter|gauge|histogram)$/)
      families.set(name, { kind: comment[3], help, samples: new Map() })
    } else {
      addSample(families.get(name), name, line)
    }
  }
  for (const [name, family] of families) checkFamily(name, family)
  return families
}

function addSample(family: Family | undefined, name: string, line: string): void {
  const sample = SAMPLE.exec(line)
  assert.ok(sample !== null, `a line: ${line}`)
  assert.ok(family !== undefined, `a sample has a family: ${line}`)
  const suffix = family.kind === 'histogram' ? '(_bucket|_sum|_count)' : ''
  assert.match(sample[1], new RegExp(`^${name}${suffix}$`), 'a sample belongs to its family')
  const key = `${sample[1]}${sample[2] ?? ''}`
  assert.ok(!family.samples.has(key), `${key} comes once`)
  family.samples.set(key, Number(sample[3].replace('Inf', 'Infinity')))
}

function checkFamily(name: string, { kind, samples }: Family): void {
  if (kind === 'counter') {
    assert.match(name, /_total$/)
    for (const value of samples.values()) assert.ok(value >= 0)
  } else {
    assert.doesNotMatch(name, /_total$/)
  }
  if (kind !== 'histogram') return
  const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket`))
  let [le, count] = [Number.NEGATIVE_INFINITY, 0]
  for (const [key, value] of buckets) {
    const bound = Number(/le="([^"]*)"/.exec(key)?.[1].replace('Inf', 'Infinity'))
    assert.ok(bound > le && value >= count, 'buckets are cumulative')
    ;[le, count] = [bound, value]
  }
  assert.equal(le, Number.POSITIVE_INFINITY)
  assert.equal(samples.get(`${name}_count`), count)
  assert.ok(samples.has(`${name}_sum`))
}
