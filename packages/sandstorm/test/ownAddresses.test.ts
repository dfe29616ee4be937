/** Whether a packet thread asks for its addresses before it uses them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADDRESS_STATES_BYTES, ADDRESSES_MAX } from '@sandstorm/libtcpip'
import { askingForOwn } from '../src/instance/ownAddresses.ts'

const ASKS = {}
const USES = { arp: { probes: 0 }, ndp: { dadTransmits: 0 } }

test('one that follows a dead thread asks anew, unless all of its addresses were in use', () => {
  const states = new SharedArrayBuffer(ADDRESS_STATES_BYTES)
  assert.deepEqual(askingForOwn(true), ASKS)
  assert.deepEqual(askingForOwn(false), USES)
  assert.deepEqual(askingForOwn(true, states), USES)
  for (const address of [0, ADDRESSES_MAX]) {
    const some = new Uint8Array(states)
    some[address] = 1
    assert.deepEqual(askingForOwn(true, states), ASKS)
    assert.deepEqual(askingForOwn(false, states), USES)
    some[address] = 0
  }
})
