/**
 * Our side of the conformance matrix (docs/conformance.md): every requirement, in virtual time, and
 * the unit tests that rows refer to. Linux's side is slow/alone/differential.test.ts.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PENDING } from './conformance/pending.ts'
import { runOurs } from './conformance/runOurs.ts'
import { SECTIONS } from './conformance/sections.ts'
import { runUnitTests } from './conformance/unitTests.ts'
import { judge } from './conformance/verdict.ts'

const [tests, ours] = await Promise.all([runUnitTests(), runOurs()])
const { problems } = judge({ tests, ours })

/** What is wrong with the row of this text. */
const problemsOf = (text: string): string[] =>
  problems.filter(problem => problem.text === text).map(({ what }) => what)

for (const { title, requirements } of SECTIONS) {
  describe(title, () => {
    for (const { id, text } of requirements) {
      const state = text in PENDING ? ` (PENDING: ${PENDING[text]})` : ''
      it(`${id}: ${text}${state}`, () => assert.deepEqual(problemsOf(text), []))
    }
  })
}

describe('the matrix', () => {
  it('has a row for everything that RFC 9293 numbers, and none twice', () => {
    assert.deepEqual(problemsOf(''), [])
  })
})
