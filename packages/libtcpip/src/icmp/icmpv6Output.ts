/**
 * ICMPv6 messages on their way out: frames for them, and the headers in front of them. They are
 * rare, so each is built anew and pushed at once; whoever polls flushes the batch.
 *
 * Invariant: no frame is built that the ring cannot take; one not sent is counted.
 */
import { ethernet, OK } from '@sandstorm/libeth'
import { assert, type Device, type FramePool, OFFLOAD_NONE, PAYLOAD_OFF } from '@sandstorm/libnmio'
import { NO_FRAME_LEFT, NO_TX_SPACE } from '../drops.ts'
import * as icmpv6 from '../wire/icmpv6.ts'
import * as ipv6 from '../wire/ipv6.ts'

export class Icmpv6Output {
  readonly device: Device
  readonly frames: FramePool
  readonly view: DataView
  /** Our hardware address. */
  readonly macHi: number
  readonly macLo: number
  /** Messages not sent for want of ring space or a frame. */
  unsent = 0

  /** The pool's frames lie in the device's region, and hold packets of 1280 bytes. */
  constructor(device: Device, frames: FramePool) {
    assert(frames.region === device.region, 'ICMPv6 frames lie in the device region')
    const packetMax = frames.frameSize - PAYLOAD_OFF + ipv6.HEADER_LEN
    assert(packetMax >= ipv6.MTU_MIN, 'a frame holds a packet of 1280 bytes')
    this.device = device
    this.frames = frames
    this.view = device.region.view
    this.macHi = ethernet.hiOf(device.mac)
    this.macLo = ethernet.loOf(device.mac)
  }

  /** OK: one frame can be allocated and sent. Else the reason why not, and it is counted. */
  room(): number {
    if (this.device.txSpace() > 0 && this.frames.freeCount > 0) return OK
    this.unsent++
    return this.device.txSpace() > 0 ? NO_FRAME_LEFT : NO_TX_SPACE
  }

  /**
   * Sends `frame`, in which the caller has written the addresses of the IPv6 header at `ip` and the
   * message of `len` bytes at `off`, its checksum aside. Between the two lies nothing, or a
   * hop-by-hop header.
   */
  send(
    frame: number,
    ip: number,
    off: number,
    len: number,
    hopLimit: number,
    dstHi: number,
    dstLo: number,
  ): void {
    const view = this.view
    const upper = ip + ipv6.HEADER_LEN
    ipv6.setClassAndFlow(view, ip, 0, 0)
    ipv6.setPayloadLen(view, ip, off + len - upper)
    ipv6.setNextHeader(view, ip, off === upper ? ipv6.PROTO_ICMPV6 : ipv6.PROTO_HOP_BY_HOP)
    ipv6.setHopLimit(view, ip, hopLimit)
    icmpv6.seal(view, ip, off, len)
    const eth = ip - ethernet.HEADER_LEN
    ethernet.setDst(view, eth, dstHi, dstLo)
    ethernet.setSrc(view, eth, this.macHi, this.macLo)
    ethernet.setType(view, eth, ethernet.TYPE_IPV6)
    this.frames.sent(frame)
    this.device.push(eth, off + len - eth, OFFLOAD_NONE)
  }
}
