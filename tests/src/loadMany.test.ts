/**
 * `sandstorm load` with thousands of connections on our own stack: all come to be, all are answered,
 * and all end with the run, told to stop or not: what is left open at the server is in the way of
 * the next.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { run } from './kit/command.ts'
import {
  assertGood,
  errorsOf,
  loadJson,
  type Report,
  startLoad,
  startNginx,
} from './kit/loadRuns.ts'
import { Namespace } from './kit/namespace.ts'
import { needs } from './kit/privileges.ts'
import { HOST_ADDRESS } from './kit/server.ts'

const CONNECTIONS = 3000

describe('load with thousands of connections', {
  ...needs('root', 'tun', 'ip', 'nginx'),
  timeout: 120_000,
}, () => {
  const url = `http://${HOST_ADDRESS}:8080/object`
  const many = [url, '-k', '-c', `${CONNECTIONS}`, '--device', 'tap', '--timeout', '60']
  let namespace: Namespace

  before(async () => {
    namespace = new Namespace()
    await startNginx(namespace, 1024)
  })
  after(() => namespace?.remove())

  /** Connections that nginx has open. */
  async function openCount(): Promise<number> {
    const ss = ['ss', '-Htn', 'state', 'established', 'sport', '=', ':8080']
    const { stdout } = await run(ss, { namespace })
    return stdout.split('\n').filter(line => line !== '').length
  }

  it('asks on each of them', async () => {
    const report = assertGood(await loadJson([...many, '-n', `${2 * CONNECTIONS}`], namespace))
    assert.equal(report.requests, 2 * CONNECTIONS)
    assert.equal(report.connectionsOpened, CONNECTIONS)
    assert.equal(await openCount(), 0)
  })

  it('lets go of each when it is told to stop', async () => {
    const { child, ended } = startLoad([...many, '-d', '600', '--json'], namespace)
    while ((await openCount()) < CONNECTIONS) await new Promise(resolve => setTimeout(resolve, 100))
    child.kill('SIGINT')
    const { stdout } = await ended
    assert.deepEqual(errorsOf(JSON.parse(stdout) as Report), {})
    assert.equal(await openCount(), 0)
  })
})
