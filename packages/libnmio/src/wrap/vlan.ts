/**
 * A VLAN of the link (IEEE 802.1Q): what is sent gets its tag, and of what comes only frames with
 * that tag are for us. To whoever is above, frames are as on a link of their own.
 *
 *    0               6              12              16      18
 *   +---------------+---------------+-------+-------+-------+----------
 *   |  destination  |    source     | 8100  |  TCI  | type  | payload …
 *   +---------------+---------------+-------+-------+-------+----------
 *
 * The addresses move four bytes, and the rest of a frame stays where it is: on `push` to the left,
 * into the device's headroom, and back on `reclaim`, so that a ready frame is what it was; of a
 * received frame to the right, over the tag. Priority and DEI are sent as 0 and ignored where they
 * come.
 *
 * The device inside has to take frames that are a tag longer than its mtu says, as TAP, memif and
 * memory do. What is received must be nobody else's: a link in memory, which copies nothing, may
 * have a VLAN at one end alone.
 */
import { assert } from '../assert.ts'
import {
  BATCH_MAX,
  type Capabilities,
  DEVICE_HEADROOM,
  type Device,
  OFFLOAD_NONE,
  offload,
  offloadGsoSize,
  offloadIpVersion,
  offloadL4Off,
  VLAN_TAG_LEN,
} from '../device.ts'
import { VNET_HDR_LEN } from '../vnet.ts'
import { DelegateDevice } from './delegate.ts'

/** IEEE 802.1Q §9.6: 0 means no VLAN, and 4095 is reserved. */
export const VLAN_ID_MIN = 1
export const VLAN_ID_MAX = 4094

const ADDRESSES_LEN = 12
const TYPE = ADDRESSES_LEN
const TAGGED_HEADER_LEN = 18
/** Tag protocol identifiers, of customers and of providers (§9.5). */
const TPID = 0x8100
const TPID_SERVICE = 0x88a8
/** Of the tag as one word: all but priority and DEI. */
const TPID_AND_VID = 0xffff0fff | 0

assert(VLAN_TAG_LEN + VNET_HDR_LEN <= DEVICE_HEADROOM, 'a tag and a header of TAP fit the headroom')

/** One VLAN of the device within. */
export class VlanDevice extends DelegateDevice {
  override readonly caps: Capabilities
  override readonly rxOff: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxLen: Int32Array = new Int32Array(BATCH_MAX)
  override readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  override readonly doneOff: Int32Array
  readonly #view: DataView
  /** The tag as it stands in a frame. */
  readonly #tag: number

  constructor(inner: Device, vlanId: number) {
    super(inner)
    assert(vlanId >= VLAN_ID_MIN && vlanId <= VLAN_ID_MAX, 'a VLAN ID is 1 to 4094')
    const { gsoMaxBytes } = inner.caps
    this.caps = { ...inner.caps, gsoMaxBytes: Math.max(0, gsoMaxBytes - VLAN_TAG_LEN) }
    this.doneOff = new Int32Array(inner.doneOff.length)
    this.#view = inner.region.view
    this.#tag = (TPID << 16) | vlanId
  }

  /** Frames that are not ours are taken out of the batch, which keeps its order. */
  override rx(): number {
    const { inner } = this
    const received = inner.rx()
    let count = 0
    for (let i = 0; i < received; i++) {
      const off = inner.rxOff[i]
      const len = inner.rxLen[i]
      if (!this.#isOurs(off, len)) {
        this.stats.rxOtherVlan++
        continue
      }
      moveAddresses(this.#view, off, off + VLAN_TAG_LEN)
      this.rxOff[count] = off + VLAN_TAG_LEN
      this.rxLen[count] = len - VLAN_TAG_LEN
      this.rxFlags[count++] = inner.rxFlags[i]
    }
    return count
  }

  /** Has it our tag, and no other behind that? */
  #isOurs(off: number, len: number): boolean {
    if (len < TAGGED_HEADER_LEN) return false
    if ((this.#view.getInt32(off + TYPE) & TPID_AND_VID) !== this.#tag) return false
    const type = this.#view.getUint16(off + TYPE + VLAN_TAG_LEN)
    return type !== TPID && type !== TPID_SERVICE
  }

  override push(off: number, len: number, request: number): void {
    this.#writeTag(off)
    this.inner.push(off - VLAN_TAG_LEN, len + VLAN_TAG_LEN, tagged(request))
  }

  override gather(
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    request: number,
  ): void {
    this.#writeTag(off)
    const taggedOff = off - VLAN_TAG_LEN
    this.inner.gather(taggedOff, len + VLAN_TAG_LEN, bodyOff, bodyLen, tagged(request))
  }

  #writeTag(off: number): void {
    moveAddresses(this.#view, off, off - VLAN_TAG_LEN)
    this.#view.setInt32(off - VLAN_TAG_LEN + TYPE, this.#tag)
  }

  override reclaim(): number {
    const { inner } = this
    const count = inner.reclaim()
    for (let i = 0; i < count; i++) {
      const off = inner.doneOff[i]
      moveAddresses(this.#view, off, off + VLAN_TAG_LEN)
      this.doneOff[i] = off + VLAN_TAG_LEN
    }
    return count
  }
}

/** Moves the two hardware addresses at `from` to `to`, which they may overlap. */
function moveAddresses(view: DataView, from: number, to: number): void {
  const w0 = view.getInt32(from)
  const w1 = view.getInt32(from + 4)
  const w2 = view.getInt32(from + 8)
  view.setInt32(to, w0)
  view.setInt32(to + 4, w1)
  view.setInt32(to + 8, w2)
}

/** The offload request for a frame that has become a tag longer. */
function tagged(request: number): number {
  if (request === OFFLOAD_NONE) return request
  const l4Off = offloadL4Off(request) + VLAN_TAG_LEN
  return offload(offloadIpVersion(request), l4Off, offloadGsoSize(request))
}
