/**
 * What nmap (nmap.org, "Remote OS Detection") makes of our server: its sequence numbers cannot be
 * guessed (RFC 6528), and its IP identifications count nothing (RFC 6864 §4.1, RFC 7739).
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { run } from '../kit/command.ts'
import { Namespace } from '../kit/namespace.ts'
import { needs } from '../kit/privileges.ts'
import { Server, SITE, TAP_ADDRESS } from '../kit/server.ts'

const timeout = 180_000

describe('nmap', { ...needs('root', 'tun', 'ip', 'nmap'), timeout }, () => {
  let namespace: Namespace
  let server: Server
  let report = ''

  before(async () => {
    namespace = new Namespace()
    server = await Server.serve([SITE, '--device', 'tap'], { namespace })
    const argv = [
      'nmap',
      '-n',
      '-Pn',
      '-v',
      '-O',
      '--max-os-tries',
      '1',
      '-p',
      '80,81',
      TAP_ADDRESS,
    ]
    const { code, stdout, stderr } = await run(argv, { namespace, limitMs: 150_000 })
    assert.equal(code, 0, stderr)
    report = stdout
  })
  after(async () => {
    await server?.kill()
    namespace?.remove()
  })

  it('finds the open and the closed port', () => {
    assert.match(report, /^80\/tcp\s+open/m)
    assert.match(report, /^81\/tcp\s+closed/m)
  })

  it('cannot predict our initial sequence numbers', () => {
    const difficulty = Number(/TCP Sequence Prediction: Difficulty=(\d+)/.exec(report)?.[1])
    // nmap's scale ends in "Good luck!", from 205 on; a generator without a secret gets a few.
    assert.ok(difficulty >= 205, `difficulty ${difficulty}\n${report}`)
  })

  it('finds no counter in our IP identifications', () => {
    const generation = /IP ID Sequence Generation: (.+)/.exec(report)?.[1]
    assert.match(generation ?? '', /^(All zeros|Randomized)$/, report)
  })

  it('leaves nothing behind in the server', async () => {
    await server.stopDrained()
  })
})
