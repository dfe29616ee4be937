/**
 * Our IPv6 addresses, the groups that come with them, and which may be used (RFC 4862 §5.4). Their
 * number is small and fixed, so every search is a walk.
 */
import { assert } from '@sandstorm/libnmio'
import * as ipv6 from '../wire/ipv6.ts'

/** States of an address: ours to use; not yet; somebody else's, so as good as not ours. */
export const VALID = 0
export const TENTATIVE = 1
export const DUPLICATE = 2

/** No address of ours. */
export const NO_ADDRESS: number = -1

/** A membership report of this many groups fits in a packet of 1280 bytes. */
const COUNT_MAX = 32

export class OwnAddresses {
  readonly count: number
  /** Four words each. */
  readonly words: Int32Array
  readonly state: Uint8Array

  /**
   * `addresses`: four words each (`ipv6.parse`), unicast. All are tentative at first, unless their
   * states lie in `shared`.
   */
  constructor(addresses: readonly Int32Array[], shared?: Uint8Array) {
    assert(addresses.length <= COUNT_MAX, 'there are at most 32 IPv6 addresses')
    this.count = addresses.length
    this.words = new Int32Array(4 * this.count)
    this.state = shared ?? new Uint8Array(this.count).fill(TENTATIVE)
    addresses.forEach((address, i) => {
      assert(!ipv6.isBadSource(address[0], address[1], address[2]), 'our addresses are unicast')
      this.words.set(address, 4 * i)
    })
  }

  /** Forgets what was found out: all are tentative. */
  reset(): void {
    this.state.fill(TENTATIVE)
  }

  /** All are ours to use: somebody else sees to it that they are unique. */
  adopt(): void {
    this.state.fill(VALID)
  }

  /** Which of ours, valid or tentative, the address is; or NO_ADDRESS. */
  indexOf(w0: number, w1: number, w2: number, w3: number): number {
    const words = this.words
    for (let i = 0; i < this.count; i++) {
      const at = 4 * i
      if (words[at + 3] !== w3 || words[at + 2] !== w2) continue
      if (words[at + 1] === w1 && words[at] === w0 && this.state[i] !== DUPLICATE) return i
    }
    return NO_ADDRESS
  }

  /** As `indexOf`, for the address at byte offset `at`. */
  find(view: DataView, at: number): number {
    return this.indexOf(
      view.getInt32(at),
      view.getInt32(at + 4),
      view.getInt32(at + 8),
      view.getInt32(at + 12),
    )
  }

  /** Is the address at byte offset `at` ours, and to be used? */
  isValidAt(view: DataView, at: number): boolean {
    const i = this.find(view, at)
    return i !== NO_ADDRESS && this.state[i] === VALID
  }

  /**
   * The address to speak from to one that begins with these words, or NO_ADDRESS: of the same
   * subnet (/64) if there is one, else of the same scope, else any that may be used (a small part
   * of RFC 6724 §5).
   */
  sourceFor(w0: number, w1: number): number {
    let best = NO_ADDRESS
    let bestScore = -1
    for (let i = 0; i < this.count; i++) {
      if (this.state[i] !== VALID) continue
      const own = this.words[4 * i]
      const sameScope = ipv6.isLinkLocal(own) === isLinkScope(w0) ? 1 : 0
      const score = own === w0 && this.words[4 * i + 1] === w1 ? 2 : sameScope
      if (score <= bestScore) continue
      best = i
      bestScore = score
    }
    return best
  }

  /** A link-local address that may be used, or NO_ADDRESS. */
  linkLocal(): number {
    for (let i = 0; i < this.count; i++) {
      if (this.state[i] === VALID && ipv6.isLinkLocal(this.words[4 * i])) return i
    }
    return NO_ADDRESS
  }

  /**
   * Is the address at byte offset `at` a group that we are in: all nodes, or a solicited-node
   * group?
   */
  isOurGroup(view: DataView, at: number): boolean {
    const w3 = view.getInt32(at + 12)
    if (ipv6.isSolicitedGroup(view, at)) return this.#isSolicited(w3)
    const isAllNodes =
      (view.getInt32(at + 4) | view.getInt32(at + 8)) === 0 && w3 === ipv6.ALL_NODES_W3
    return isAllNodes && view.getInt32(at) === ipv6.LINK_GROUP_W0
  }

  /**
   * Does a frame sent to this hardware address concern one of those groups? For the stack's filter.
   */
  isOurGroupMac(hi: number, lo: number): boolean {
    return hi === ipv6.GROUP_MAC_HI && (lo === ipv6.ALL_NODES_W3 || this.#isSolicited(lo))
  }

  /** Writes address `i` at byte offset `at`. */
  write(view: DataView, at: number, i: number): void {
    const words = this.words
    const w = 4 * i
    ipv6.setAddress(view, at, words[w], words[w + 1], words[w + 2], words[w + 3])
  }

  #isSolicited(w3: number): boolean {
    for (let i = 0; i < this.count; i++) {
      const isOurs = ipv6.solicitedW3(this.words[4 * i + 3]) === w3
      if (isOurs && this.state[i] !== DUPLICATE) return true
    }
    return false
  }
}

/** Does an address, or a group, reach no further than the link? */
const isLinkScope = (w0: number): boolean => ipv6.isLinkLocal(w0) || w0 === ipv6.LINK_GROUP_W0
