/** What a changed configuration means to a server that runs, key by key. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { reloadable, restartKeys } from '../src/config/change.ts'
import { checkData } from '../src/config/file.ts'
import { checkConfig, type ServeConfig, type ServeFlags } from '../src/config.ts'
import { keyRows } from './configKeys.ts'
import { makeTree } from './contentTree.ts'

/** The configuration that a file with this in it means. */
async function configOf(root: string, data: object): Promise<ServeConfig> {
  const { flags, problems } = await checkData(join(root, 'x.json'), { root: '.', ...data })
  assert.deepEqual(problems.map(String), [])
  return checkConfig(flags)
}

/**
 * For each key of a file another value than the default, what it needs beside it, and what follows.
 */
const CHANGES: Readonly<Record<string, { to: unknown; with?: object; also?: string[] }>> = {
  device: { to: 'tap:web1' },
  address: { to: '10.77.0.9/24', with: { address6: 'fd77::9/64' } },
  hostAddress: { to: '10.77.0.9/24' },
  gateway: { to: '10.77.0.1' },
  address6: { to: 'fd77::9/64' },
  hostAddress6: { to: 'fd77::9/64' },
  gateway6: { to: 'fd77::1' },
  bridge: {
    to: 'br0',
    with: { address: '10.77.0.2/24', address6: 'fd77::2/64' },
    also: ['device', 'hostAddress', 'hostAddress6', 'mtu'],
  },
  vlan: {
    to: 10,
    with: { address: '10.77.0.2/24', address6: 'fd77::2/64' },
    also: ['device', 'hostAddress', 'hostAddress6', 'mtu'],
  },
  memifRole: { to: 'server', with: { device: 'memif:/x', address: '10.0.0.1/24' } },
  memifId: { to: 3, with: { device: 'memif:/x', address: '10.0.0.1/24' } },
  port: { to: 81 },
  mtu: { to: 9000 },
  memory: { to: '300M' },
  transmit: { to: 'copy' },
  replicas: { to: 3 },
  cc: { to: 'newreno' },
  pacing: { to: true },
  trustAddress: { to: true },
  pcap: { to: 'out.pcapng' },
  trace: { to: true },
  fault: { to: 'drop=0.01' },
  workers: { to: 2 },
  connections: { to: 100_000 },
  cpus: { to: [0, 1] },
  spin: { to: 10 },
  rxBatch: { to: 1 },
  txDelay: { to: 50 },
  busyPoll: { to: 20, with: { device: 'xdp:web0' } },
  admin: { to: '127.0.0.1:9077' },
  adminHost: { to: 'web1', with: { admin: '127.0.0.1:9077' } },
  'accessLog.path': { to: 'access.log' },
  'accessLog.format': { to: 'json', with: { accessLog: { path: '-' } } },
  'limits.headTimeout': { to: 1 },
  'limits.idleTimeout': { to: 1 },
  'limits.stallTimeout': { to: 1 },
  'limits.drainTimeout': { to: 1 },
  'limits.requestsPerConnection': { to: 1 },
  'limits.connectionsPerAddress': { to: 1 },
  'limits.requestsPerSecond': { to: 1 },
  'limits.targetBytes': { to: 1000 },
  'limits.headBytes': { to: 7000 },
  'limits.fields': { to: 10 },
  'limits.bodyBytes': { to: 10 },
}
/** Keys that a reload brings. */
const RELOADED = ['logLevel', 'root']

describe('a key that only a restart brings', () => {
  for (const [key, { to, with: base = {}, also = [] }] of Object.entries(CHANGES))
    test(`is told when it changes: ${key}`, async t => {
      const root = makeTree(t, {})
      const old = await configOf(root, base)
      const [table, inner] = key.split('.')
      const before = (base as Record<string, object>)[table]
      const value = inner === undefined ? to : { ...before, [inner]: to }
      const next = await configOf(root, { ...base, [table]: value })
      assert.deepEqual(restartKeys(old, next).sort(), [key, ...also].sort())
      assert.deepEqual(restartKeys(next, old).sort(), [key, ...also].sort())
      assert.deepEqual(restartKeys(next, next), [])
    })

  test('is in the list above, or a reload brings it', () => {
    const schema = new URL('../../config.schema.json', import.meta.url)
    const keys = keyRows(JSON.parse(readFileSync(schema, 'utf8'))).map(([key]) => key)
    const isTable = (key: string): boolean => keys.some(other => other.startsWith(`${key}.`))
    const others = keys.filter(key => !isTable(key) && CHANGES[key] === undefined)
    assert.deepEqual(
      others.filter(key => !key.startsWith('sites')),
      ['$schema', ...RELOADED],
    )
  })
})

test('sites and the level of the log are no reason for a restart', async t => {
  const root = makeTree(t, { 'a/index.html': '', 'b/index.html': '' })
  const old = await configOf(root, { root: 'a' })
  const next = await configOf(root, { root: 'b', logLevel: 'debug' })
  assert.notDeepEqual(old, next)
  assert.deepEqual(restartKeys(old, next), [])
  assert.deepEqual(reloadable(old, next), next)
})

test('what only a restart brings stays as it is in what is reloaded', () => {
  const config = (flags: ServeFlags): ServeConfig => checkConfig({ root: '.', ...flags })
  const old = config({ port: '80', logLevel: 'info' })
  const next = config({ port: '81', logLevel: 'warn', listing: 'html' })
  const given = reloadable(old, next)
  assert.deepEqual(given, { ...old, sites: next.sites, logLevel: 'warn' })
  assert.deepEqual(restartKeys(old, given), [])
})

test('a key is told once, whatever follows from it', () => {
  const config = (flags: ServeFlags): ServeConfig => checkConfig({ root: '.', ...flags })
  const next = config({ address: ['192.0.2.5/28', '192.0.2.6/28'] })
  const keys = restartKeys(config({}), next)
  assert.deepEqual(keys.sort(), ['address', 'address6', 'hostAddress', 'hostAddress6'])
})
