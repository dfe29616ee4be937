/** What the admin server tells of a whole server: a real one, in memory. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { AdminServer } from '../src/admin/adminServer.ts'
import { Histogram } from '../src/admin/histogram.ts'
import { metricsPage } from '../src/admin/metrics.ts'
import { REAL_FS } from '../src/content/fileSystem.ts'
import { ImageStore } from '../src/content/imageStore.ts'
import { Pager } from '../src/content/pager.ts'
import { reply } from '../src/control/inquiry.ts'
import { Inspector } from '../src/control/inspector.ts'
import { Fronts } from '../src/front/fronts.ts'
import { plainOrigin, plainSite } from '../src/site/site.ts'
import { parseMetrics } from './kit/prometheus.ts'
import { World } from './kit/world.ts'

test('metrics leave out no counter of a server, and have words for those of TCP', () => {
  const world = new World({ '/a': 100 })
  world.fetch('/a')
  const counters = world.settle().server.stats()
  const families = parseMetrics(metricsPage({ counters }, true))
  const numbers = (value: unknown): number =>
    typeof value === 'number'
      ? 1
      : Object.values(value as object).reduce((count, part) => count + numbers(part), 0)
  const samples = [...families.values()].reduce((count, { samples }) => count + samples.size, 0)
  assert.equal(samples, numbers(counters) + 4, 'and four of the process')
  for (const [name, { help }] of families) {
    assert.doesNotMatch(help, /undefined/)
    if (name.startsWith('sandstorm_tcp_')) assert.match(help, /^[A-Z].* \((Tcp|Sandstorm)\w+\)\.$/)
  }
  const value = (name: string): number | undefined => families.get(name)?.samples.get(name)
  assert.equal(value('sandstorm_http_requests_total'), 1)
  assert.equal(value('sandstorm_tcp_passive_opens_total'), 1)
})

test('docs/operations.md has a line for each metric', async () => {
  const doc = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8')
  const accessLog = { lines: 0, dropped: 0, errors: 0 }
  const kernel = {
    accepted: 0,
    refused: 0,
    open: 0,
    answers: 0,
    slow: 0,
    idle: 0,
    errors: 0,
    limited: 0,
  }
  const site = { ...plainSite(''), origin: plainOrigin('http://127.0.0.1:1') }
  const fronts = await Fronts.open([site, site])
  const stack = new World({ '/a': 1 }).server.stats()
  const content = {
    ...{ images: 0, retired: 0, freeBytes: 0 },
    ...{ generation: 0, reloads: 0, failedReloads: 0 },
  }
  const store = new ImageStore(4096, 4096)
  const paging = new Pager(store, REAL_FS, {
    bytesMax: 0,
    fileBytesMax: 0,
    keptFilesMax: 0,
    stallTimeoutMs: 0,
  }).stats
  const counters = { ...stack, accessLog, kernel, content, paging, ...fronts?.stats }
  await fronts?.close()
  const durations = { answer: Histogram.merge([]) }
  for (const [name, { kind, help }] of parseMetrics(metricsPage({ counters, durations }, true)))
    assert.ok(doc.includes(`| \`${name}\` | ${kind} | ${help.slice(0, -1)} |`), name)
})

test('connections are those of every packet thread', async () => {
  const worlds = [1, 2].map(() => new World({ '/a': 1 }))
  for (const world of worlds) {
    world.connect()
    world.settle()
  }
  const inspector = new Inspector(
    worlds.map(
      ({ server }) =>
        async inquiry =>
          reply(server, inquiry),
    ),
  )
  const admin = await AdminServer.start({
    address: '127.0.0.1',
    port: 0,
    snapshot: async () => ({ counters: await inspector.stats() }),
    health: () => 'serving',
    connections: () => inspector.connections(),
    log: { limited: () => {} },
  })
  const url = `http://127.0.0.1:${admin.port}`
  const rows = (await (await fetch(`${url}/connections`)).text()).trimEnd().split('\n')
  const lines = rows.map(line => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ type }) => type),
    ['connection', 'connection', 'summary'],
  )
  assert.equal(lines[0].state, 'ESTAB')
  const page = await (await fetch(`${url}/metrics`)).text()
  assert.match(page, /^sandstorm_connections 2$/m)
  await admin.close()
})
