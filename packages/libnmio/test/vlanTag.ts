/**
 * VLAN tags put in and taken out the naive way (IEEE 802.1Q §9.5: behind the addresses), for tests.
 */
import assert from 'node:assert/strict'
import { VLAN_TAG_LEN, VlanDevice } from '../src/index.ts'
import type { Pair, Peer } from './device.suite.ts'

const ADDRESSES_LEN = 12
const VLAN_ID = 10

/** The frame with a tag; `control`: priority, DEI and VLAN ID, as they stand there. */
export function withTag(frame: Uint8Array, control: number, protocol = 0x8100): Uint8Array {
  const tag = [protocol >> 8, protocol & 0xff, control >> 8, control & 0xff]
  return Uint8Array.of(
    ...frame.subarray(0, ADDRESSES_LEN),
    ...tag,
    ...frame.subarray(ADDRESSES_LEN),
  )
}

/** The frame without its tag, which must be this one. */
export function withoutTag(frame: Uint8Array, control: number): Uint8Array {
  const rest = frame.subarray(ADDRESSES_LEN + VLAN_TAG_LEN)
  const bare = Uint8Array.of(...frame.subarray(0, ADDRESSES_LEN), ...rest)
  assert.deepEqual(frame, withTag(bare, control))
  return bare
}

/**
 * A pair with its device in a VLAN; its peer, who has frames without tags, sends and finds them
 * with.
 */
export function inVlan(pair: Pair): Pair {
  const { device, peer } = pair
  const tagged: Peer = {
    send: frame => peer.send(withTag(frame, VLAN_ID)),
    receive: () => peer.receive(),
    frame: i => withoutTag(peer.frame(i), VLAN_ID),
  }
  return { ...pair, device: new VlanDevice(device, VLAN_ID), peer: tagged, tagLen: VLAN_TAG_LEN }
}
