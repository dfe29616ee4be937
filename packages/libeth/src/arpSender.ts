/**
 * The frames that ARP sends: built anew each time, since they are rare, and pushed at once
 * (RFC 826; probe and announcement: RFC 5227 §1.1).
 *
 * Invariant: no frame is built that the ring cannot take; one not sent is counted.
 */
import { assert, type Device, type FramePool, NO_FRAME, OFFLOAD_NONE } from '@sandstorm/libnmio'
import * as arp from './arpPacket.ts'
import * as ethernet from './ethernet.ts'

/** Where frames come from and go to. */
export interface ArpPort {
  readonly device: Device
  readonly frames: FramePool
}

/** What ARP counts; numbers only, never reset. */
export interface ArpStats {
  requestsSent: number
  repliesSent: number
  probesSent: number
  announcementsSent: number
  /** Frames not sent: no ring space or no frame. */
  unsent: number
  /** Neighbours whose hardware address changed. */
  moved: number
  /** Entries given up: unanswered, or of no use to anybody. */
  expired: number
  /** New addresses refused because every entry they could have was busy. */
  refused: number
  conflicts: number
}

const FRAME_LEN: number = ethernet.HEADER_LEN + arp.PACKET_LEN

export class ArpSender {
  readonly stats: ArpStats = {
    requestsSent: 0,
    repliesSent: 0,
    probesSent: 0,
    announcementsSent: 0,
    unsent: 0,
    moved: 0,
    expired: 0,
    refused: 0,
    conflicts: 0,
  }
  readonly #device: Device
  readonly #frames: FramePool
  readonly #view: DataView
  readonly #ownHi: number
  readonly #ownLo: number

  constructor(port: ArpPort) {
    assert(port.frames.region === port.device.region, 'ARP frames lie in the device region')
    this.#device = port.device
    this.#frames = port.frames
    this.#view = port.device.region.view
    this.#ownHi = ethernet.hiOf(port.device.mac)
    this.#ownLo = ethernet.loOf(port.device.mac)
  }

  /**
   * `from`, ours, asks the station `hi:lo` (or everybody) who has `ip`. False, as below: no room.
   */
  request(from: number, hi: number, lo: number, ip: number): boolean {
    if (!this.#send(arp.REQUEST, hi, lo, from, 0, 0, ip)) return false
    this.stats.requestsSent++
    return true
  }

  /** Tells `hi:lo`, at `ip`, that `address` is at our hardware address. */
  reply(address: number, hi: number, lo: number, ip: number): boolean {
    if (!this.#send(arp.REPLY, hi, lo, address, hi, lo, ip)) return false
    this.stats.repliesSent++
    return true
  }

  /** Asks everybody for an address of our own, without claiming it. */
  probe(address: number): boolean {
    if (!this.#broadcast(0, address)) return false
    this.stats.probesSent++
    return true
  }

  /** Tells everybody that an address is ours. */
  announce(address: number): boolean {
    if (!this.#broadcast(address, address)) return false
    this.stats.announcementsSent++
    return true
  }

  #broadcast(from: number, ip: number): boolean {
    const { BROADCAST_HI, BROADCAST_LO } = ethernet
    return this.#send(arp.REQUEST, BROADCAST_HI, BROADCAST_LO, from, 0, 0, ip)
  }

  #send(
    op: number,
    dstHi: number,
    dstLo: number,
    senderIp: number,
    targetHi: number,
    targetLo: number,
    targetIp: number,
  ): boolean {
    const frame = this.#device.txSpace() > 0 ? this.#frames.alloc() : NO_FRAME
    if (frame === NO_FRAME) {
      this.stats.unsent++
      return false
    }
    const view = this.#view
    const packet = this.#frames.payloadOff(frame) - arp.PACKET_LEN
    const off = packet - ethernet.HEADER_LEN
    ethernet.setDst(view, off, dstHi, dstLo)
    ethernet.setSrc(view, off, this.#ownHi, this.#ownLo)
    ethernet.setType(view, off, ethernet.TYPE_ARP)
    arp.setOperation(view, packet, op)
    arp.setSender(view, packet, this.#ownHi, this.#ownLo, senderIp)
    arp.setTarget(view, packet, targetHi, targetLo, targetIp)
    this.#frames.sent(frame)
    this.#device.push(off, FRAME_LEN, OFFLOAD_NONE)
    return true
  }
}
