/**
 * Cells where packets are put together that came in several chunks, one for each frame of a batch:
 * who reads a frame finds it in one piece. A frame that came in one chunk never comes here.
 */
import { BATCH_MAX, ETHERNET_HEADER_LEN, VLAN_TAG_LEN } from '../device.ts'
import type { Region } from '../region.ts'
import { XDP_PKT_CONTD } from '../sys/xsk.ts'
import { isMultiBuffer } from './layout.ts'
import type { Ring } from './ring.ts'

export class Joiner {
  readonly #region: Region
  readonly #lenMax: number
  readonly #base: number
  readonly #cell: number

  constructor(region: Region, mtu: number) {
    this.#region = region
    this.#lenMax = mtu + ETHERNET_HEADER_LEN + VLAN_TAG_LEN
    this.#cell = cellBytes(mtu)
    this.#base = region.reserve(BATCH_MAX * this.#cell)
  }

  /** Where frame `i` of the batch lies if it was put together. */
  off(i: number): number {
    return this.#base + i * this.#cell
  }

  /**
   * Copies the packet that begins at entry `at` of the ring together into cell `i`; chunks are
   * counted from byte `umem`. Returns its length; 0: it is longer than frames are here.
   */
  join(
    i: number,
    rx: Pick<Ring, 'words' | 'entry'>,
    at: number,
    count: number,
    umem: number,
  ): number {
    const { words } = rx
    let to = this.off(i)
    const end = to + this.#lenMax
    for (let k = 0; k < count; k++) {
      const entry = rx.entry(at + k)
      const from = umem + words[entry]
      const len = words[entry + 2]
      if (len > end - to) return 0
      this.#region.copy(to, from, len)
      to += len
    }
    return to - this.off(i)
  }
}

/**
 * Entries of the packet that begins at `at`, of `ready` that are there; 0: some are yet to come.
 */
export function piecesAt(rx: Pick<Ring, 'words' | 'entry'>, at: number, ready: number): number {
  for (let k = 0; k < ready; k++) {
    if ((rx.words[rx.entry(at + k) + 3] & XDP_PKT_CONTD) === 0) return k + 1
  }
  return 0
}

const cellBytes = (mtu: number): number =>
  isMultiBuffer(mtu) ? Math.ceil((mtu + ETHERNET_HEADER_LEN + VLAN_TAG_LEN) / 64) * 64 : 0

/** Bytes of its region that a Joiner reserves, alignment included. */
export const joinerBytes = (mtu: number): number => BATCH_MAX * cellBytes(mtu) + 64
