/**
 * Finished packets with the one request of a run (paper §2.1): each is framed once, payload in
 * place and summed, and from then on sent by patching its headers. They form a ring in the order of
 * sending; frames complete in that order, so if the oldest is still the device's, all are, and a
 * new one is made. A request that does not fit a segment, or is to be sent again in part, is copied
 * into a frame of the pool.
 */
import { assert, NO_FRAME, OFFLOAD_NONE, PAYLOAD_OFF } from '@sandstorm/libnmio'
import { BUSY, checksum, type Tcp } from '@sandstorm/libtcpip'

/** Frames of the pool that are left to SYNs, ACKs and pieces. */
const RESERVED = 64

export class RequestFrames {
  readonly #tcp: Tcp
  readonly #request: Uint8Array
  readonly #sum: number
  /**
   * By place: the frame, the key that its headers were written for, and the place of the one sent
   * next.
   */
  readonly #frame: Int32Array
  readonly #key: Int32Array
  readonly #after: Int32Array
  #count = 0
  /** The place of the one that was sent last; the oldest is behind it. */
  #newest = -1

  constructor(tcp: Tcp, request: Uint8Array) {
    assert(request.length > 0, 'there is a request')
    this.#tcp = tcp
    this.#request = request
    const view = new DataView(request.buffer, request.byteOffset, request.length)
    this.#sum = checksum.sum(view, 0, request.length)
    const most = Math.max(1, tcp.frames.capacity >> 1)
    this.#frame = new Int32Array(most)
    this.#key = new Int32Array(most)
    this.#after = new Int32Array(most)
  }

  /** Bytes of the largest payload of a frame. */
  get payloadMax(): number {
    return this.#tcp.frames.frameSize - PAYLOAD_OFF
  }

  /** Pushes all of the request, which fits a segment of connection `c`; its bytes, or BUSY. */
  sendWhole(c: number, seq: number): number {
    const at = this.#idle()
    if (at < 0) return BUSY
    const { frames, headers, device, stats } = this.#tcp
    const len = this.#request.length
    const frame = this.#frame[at]
    const payloadOff = frames.payloadOff(frame)
    headers.begin(c, seq)
    const off =
      this.#key[at] === headers.key
        ? headers.patch(payloadOff, seq, len, this.#sum)
        : headers.write(payloadOff, seq, len, this.#sum)
    this.#key[at] = headers.key
    stats.outSegs++
    frames.sent(frame)
    device.push(off, headers.len + len, OFFLOAD_NONE)
    return len
  }

  /** Pushes `len` bytes from byte `at` of the request, and of those that follow it. */
  sendPiece(c: number, seq: number, at: number, len: number): number {
    const { frames, headers, device, stats } = this.#tcp
    const frame = frames.alloc()
    if (frame === NO_FRAME) return BUSY
    const payloadOff = frames.payloadOff(frame)
    const { bytes, view } = frames.region
    for (let k = 0; k < len; k++) {
      bytes[payloadOff + k] = this.#request[(at + k) % this.#request.length]
    }
    headers.begin(c, seq)
    const off = headers.write(payloadOff, seq, len, checksum.sum(view, payloadOff, len))
    stats.outSegs++
    frames.sent(frame)
    device.push(off, headers.len + len, OFFLOAD_NONE)
    return len
  }

  /** The place of a frame that can be sent, which is the newest from now on; -1: there is none. */
  #idle(): number {
    if (this.#newest < 0) return this.#make()
    const oldest = this.#after[this.#newest]
    if (this.#tcp.frames.isInFlight(this.#frame[oldest])) return this.#make()
    this.#newest = oldest
    return oldest
  }

  /** Puts one more frame into the ring, behind the newest and before the oldest. */
  #make(): number {
    const { frames } = this.#tcp
    if (this.#count === this.#frame.length || frames.freeCount <= RESERVED) return -1
    const frame = frames.alloc()
    frames.retain(frame)
    frames.region.bytes.set(this.#request, frames.payloadOff(frame))
    const at = this.#count++
    this.#frame[at] = frame
    this.#key[at] = -1
    this.#after[at] = this.#newest < 0 ? at : this.#after[this.#newest]
    if (this.#newest >= 0) this.#after[this.#newest] = at
    this.#newest = at
    return at
  }
}
