/**
 * `--connections`: what becomes of those that come when a server has all it may have, on our own
 * stack and on the kernel's, and that others get in when these have gone.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { koffiProblem } from '@sandstorm/libnmio'
import { freePort } from './kit/freePort.ts'
import { assertGood, errorsOf, loadJson } from './kit/loadRuns.ts'
import { Server, SITE, TAP_ADDRESS } from './kit/server.ts'
import { temporaryFolder } from './kit/temporary.ts'

describe('a server with all the connections that it may have', { timeout: 120_000 }, () => {
  let server: Server | undefined

  afterEach(async () => {
    await server?.kill()
    server = undefined
  })

  const skip = koffiProblem() === '' ? false : koffiProblem()
  it('drops SYNs and what follows a cookie on our own stack, and counts them', {
    skip,
  }, async () => {
    const device = ['--device', `memif:${join(temporaryFolder('memif').path, 'memif.sock')}`]
    const address = ['--address', `${TAP_ADDRESS}/24`, '--memif-role', 'server']
    server = await Server.serve([SITE, ...device, ...address, '--connections', '40'])
    const own = [`${server.url}/`, '-k', ...device, '--address', '10.77.0.3/24']
    const { report } = await loadJson([...own, '-c', '50', '-n', '1000', '--timeout', '1.5'])
    // Some had a SYN cookie in time, and take themselves for connected.
    assert.deepEqual(Object.keys(errorsOf(report)), ['timeout'])
    const { requests } = assertGood(await loadJson([...own, '-c', '30', '-n', '1000']))
    assert.equal(requests, 1000)
    const { drops, tcp } = await server.stopDrained()
    assert.ok(drops['tcp-table-full'] >= 10, JSON.stringify(drops))
    assert.ok(tcp['passiveOpens'] >= 70)
  })

  it('closes them on the kernel’s stack, and counts them', async () => {
    const flags = ['--device', 'kernel', '--port', `${await freePort()}`, '--connections', '40']
    server = await Server.serve([SITE, ...flags])
    const url = [`${server.url}/`, '-k']
    const { report } = await loadJson([...url, '-c', '50', '-d', '1', '--rate', '20'])
    assert.ok(report.connectionsUnused >= 10, JSON.stringify(report))
    assertGood(await loadJson([...url, '-c', '40', '-n', '1000']))
    await server.stop()
    const stats = server.stats as unknown as Record<string, number>
    assert.ok(stats['refused'] >= 10, JSON.stringify(stats))
    assert.equal(stats['connections'], 0)
  })
})
