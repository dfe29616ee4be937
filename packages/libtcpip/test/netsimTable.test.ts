/**
 * What the sender reaches over many kinds of path, held against snapshots/netsim.txt: a change of
 * the sender shows there, where a reviewer can read what it brings and what it costs.
 *
 *     UPDATE_SNAPSHOTS=1 node --test packages/libtcpip/dist/test/netsimTable.test.js   makes it anew
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { tables } from './netsim/table.ts'

const SNAPSHOT = new URL('../../test/snapshots/netsim.txt', import.meta.url)

test('the tables of snapshots/netsim.txt are what the sender reaches', () => {
  const made = tables(1)
  if (process.env['UPDATE_SNAPSHOTS']) writeFileSync(SNAPSHOT, made)
  assert.equal(made, readFileSync(SNAPSHOT, 'utf8'))
})
