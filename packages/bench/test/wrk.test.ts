/** How wrk is called, and what is taken for a right answer. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { type Answer, problemOf } from '../src/ask.ts'
import { loadOf } from '../src/compare.ts'
import { wrkArgv } from '../src/wrk.ts'

const URL = 'http://10.78.0.2:80'

describe('a command line of wrk', () => {
  it('keeps 64 connections alive and asks for the object', () => {
    const load = loadOf({ object: '1 KB', close: false })
    assert.equal(
      wrkArgv(URL, load, 5).join(' '),
      `wrk --latency -t 1 -c 64 -d 5 -H Connection: keep-alive ${URL}/1024.bin`,
    )
  })

  it('carries fields and a script, as whole arguments', () => {
    const fields = { 'If-None-Match': '"a b"' }
    const load = { path: '/x', close: true, connections: 4, fields, script: '/tmp/walk.lua' }
    const argv = wrkArgv(URL, load, 1)
    assert.deepEqual(argv.slice(4, 6), ['-c', '4'])
    assert.deepEqual(argv.slice(8), [
      '-H',
      'Connection: close',
      '-H',
      'If-None-Match: "a b"',
      '-s',
      '/tmp/walk.lua',
      `${URL}/x`,
    ])
  })
})

describe('an answer', () => {
  const body = Uint8Array.of(1, 2, 3)
  const sha256 = createHash('sha256').update(body).digest('hex')
  const fields = { 'content-encoding': 'gzip', vary: 'accept-encoding' }
  const right: Answer = { status: 200, fields, bodyBytes: 3, sha256 }
  const expected = { status: 200, body, fields: { vary: 'Accept-Encoding' } }

  it('is right with its status, bytes and fields', () => {
    assert.equal(problemOf(right, expected), '')
  })

  it('is wrong in one of them', () => {
    const problem = (wrong: Partial<Answer>): string => problemOf({ ...right, ...wrong }, expected)
    assert.equal(problem({ status: 304 }), 'status 304 instead of 200')
    assert.equal(problem({ bodyBytes: 4 }), '4 bytes instead of 3')
    assert.equal(problem({ sha256: '00' }), 'other bytes')
    assert.equal(problem({ fields: {} }), 'vary: nothing instead of Accept-Encoding')
  })
})
