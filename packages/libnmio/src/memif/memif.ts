/**
 * The memif device: frames go to another process through rings in memory that both see, without a
 * system call while both are awake. A client sends frames from where they lie (paper §2: zero-copy
 * for all data); a server copies into its client's buffers; what comes is always copied, before
 * anyone looks at it.
 *
 * Peers come and go, as link.ts says through the port: a device without one is not down, only
 * nobody hears what it sends. A peer that breaks the rules is left at once, and dropped by the
 * link.
 *
 * Invariants: as tap.ts. Shared memory is touched while the port says ON, and only here.
 */
import { assert } from '../assert.ts'
import {
  BATCH_MAX,
  type Capabilities,
  type Device,
  type DeviceStats,
  ETHERNET_HEADER_LEN,
  newDeviceStats,
  OFFLOAD_NONE,
  VLAN_TAG_LEN,
} from '../device.ts'
import type { Region } from '../region.ts'
import { BELL_BYTES, Bell } from '../sys/bell.ts'
import { POLLIN } from '../sys/libc.ts'
import { WAITER_BYTES, Waiter } from '../sys/waiter.ts'
import { ClientSide, clientBytes } from './client.ts'
import { Inbox, inboxBytes, Outbox, TX_SLOTS } from './frames.ts'
import type { MemifHandle } from './handle.ts'
import { OFF, OFFERED, ON, Port, STOPPING } from './port.ts'
import { ServerSide, serverBytes } from './server.ts'
import type { Side } from './side.ts'
import { NONE, type Violation } from './violation.ts'

/** Nobody tells when a ring has room again: with frames that wait for it we look after this. */
const RETRY_US = 1000

/** The longest frame, tag included. */
const frameMax = (handle: MemifHandle): number => ETHERNET_HEADER_LEN + VLAN_TAG_LEN + handle.mtu

/** Bytes of its region that a MemifDevice reserves; add what the frame pools take. */
export function memifRegionBytes(handle: MemifHandle): number {
  const own = WAITER_BYTES + BELL_BYTES + inboxBytes(frameMax(handle))
  return own + (handle.role === 'client' ? clientBytes(handle) : serverBytes(handle))
}

export class MemifDevice implements Device {
  readonly name: string
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities
  readonly stats: DeviceStats = newDeviceStats()
  down = ''
  readonly rxOff: Int32Array
  readonly rxLen: Int32Array
  /** Always 0: frames carry full checksums, and nobody has looked at them. */
  readonly rxFlags: Int32Array = new Int32Array(BATCH_MAX)
  readonly doneOff: Int32Array = new Int32Array(TX_SLOTS)

  readonly #lenMax: number
  readonly #port: Port
  readonly #outbox: Outbox = new Outbox()
  readonly #inbox: Inbox
  readonly #side: Side
  readonly #waiter: Waiter
  readonly #bell: Bell
  /** There is a peer. */
  #isOn = false
  /** Eventfds: of the ring that the peer sends on, and of ours. */
  #rxFd = -1
  #txFd = -1

  /**
   * The device of an open queue, on the thread that will use it. Takes memifRegionBytes(handle)
   * bytes of `region`; a client shares what `reserveFrames` hands out behind them. The region must
   * not go before `close`.
   */
  constructor(handle: MemifHandle, region: Region) {
    this.name = `memif:${handle.name}`
    this.region = region
    this.mtu = handle.mtu
    this.mac = handle.mac
    const isClient = handle.role === 'client'
    this.caps = { txChecksum: false, gsoMaxBytes: 0, gather: false, zeroCopy: isClient }
    this.#lenMax = frameMax(handle)
    // What others must not see comes first.
    this.#waiter = new Waiter(region, -1, handle.wakeFd, this.stats)
    this.#bell = new Bell(region, this.stats)
    this.#inbox = new Inbox(region, ETHERNET_HEADER_LEN, this.#lenMax)
    this.rxOff = this.#inbox.off
    this.rxLen = this.#inbox.len
    this.#port = new Port(handle.port)
    this.#port.state = OFF // a thread that died may have left a peer
    if (isClient) {
      const side = new ClientSide(handle, region, this.#outbox, this.#inbox, this.stats)
      this.#side = side
      this.#port.memory = side.memoryBytes
    } else {
      this.#side = new ServerSide(handle, region, this.#outbox, this.#inbox, this.stats)
      this.#port.memory = 1
    }
  }

  /** Whether frames come and go: there is a peer. */
  get isOn(): boolean {
    return this.#isOn
  }

  /** Does what the link asks for. */
  #attend(): void {
    const { state } = this.#port
    if (state === (this.#isOn ? ON : OFF) || this.down !== '') return
    if (state === OFFERED) this.#start()
    else if (state === STOPPING) {
      this.#letGo()
      this.#port.state = OFF
    }
  }

  #start(): void {
    const offer = this.#port.offered()
    const violation = this.#side.start(offer)
    this.#isOn = true
    this.#rxFd = offer.rxFd
    this.#txFd = offer.txFd
    this.#waiter.follow(offer.rxFd)
    if (violation !== NONE) this.#violated(violation)
    else this.#port.change(OFFERED, ON)
  }

  /** Leaves the peer, if there is one; the frames that it has are ours again. */
  #letGo(): void {
    if (!this.#isOn) return
    this.#turnAway()
    this.#side.stop()
  }

  #turnAway(): void {
    this.#isOn = false
    this.#waiter.follow(-1)
    this.stats.txDropped += this.#outbox.giveUp()
  }

  #violated(what: Violation): void {
    this.#letGo()
    this.#port.violate(what)
  }

  /** No system call. */
  rx(): number {
    this.#attend()
    if (!this.#isOn) return 0
    const inbox = this.#inbox
    const violation = this.#side.receive()
    if (violation !== NONE) {
      this.#violated(violation)
      return 0
    }
    const { stats } = this
    const { count } = inbox
    for (let i = 0; i < count; i++) stats.rxBytes += inbox.len[i]
    stats.rxFrames += count
    stats.rxDropped += inbox.dropped
    return count
  }

  /** 0 once the device is down. */
  txSpace(): number {
    return this.down === '' ? this.#outbox.space : 0
  }

  push(off: number, len: number, request: number): void {
    assert(request === OFFLOAD_NONE, 'a peer is sent finished frames')
    assert(len >= ETHERNET_HEADER_LEN && len <= this.#lenMax, 'a frame fits header, tag and mtu')
    assert(this.#side.holds(off, len), 'the frame is in packet memory')
    this.#outbox.push(off, len)
  }

  gather(): void {
    assert(false, 'a frame is sent from where it lies, in one piece')
  }

  /**
   * Without a peer all is dropped, and counted; what a full ring does not take waits for the next
   * flush.
   */
  flush(): void {
    const outbox = this.#outbox
    if (!this.#isOn) {
      this.stats.txDropped += outbox.giveUp()
      return
    }
    if (outbox.sent === outbox.pushed) return
    const before = outbox.sent
    const violation = this.#side.send()
    if (violation !== NONE) this.#violated(violation)
    else if (outbox.sent !== before && this.#side.peerWantsInterrupt()) this.#bell.ring(this.#txFd)
  }

  reclaim(): number {
    if (this.#isOn) {
      const violation = this.#side.complete()
      if (violation !== NONE) this.#violated(violation)
    }
    return this.#outbox.reclaim(this.doneOff)
  }

  wait(timeoutUs: number): void {
    this.#attend()
    if (!this.#isOn) {
      this.#waiter.wait(POLLIN, timeoutUs)
      this.#attend()
      return
    }
    const outbox = this.#outbox
    const isStuck = outbox.done !== outbox.pushed
    const isLong = timeoutUs < 0 || timeoutUs > RETRY_US
    let timeout = isStuck && isLong ? RETRY_US : timeoutUs
    this.#side.wantInterrupt(true)
    // What came before the peer could see that has not been rung for.
    if (this.#side.hasFrames()) timeout = 0
    const events = this.#waiter.wait(POLLIN, timeout)
    this.#side.wantInterrupt(false)
    if ((events & POLLIN) !== 0) this.#bell.hush(this.#rxFd)
    this.#attend()
    if (isStuck) this.flush()
  }

  linkMtu(): number {
    return this.#isOn ? this.mtu : 0
  }

  /**
   * Leaves the peer, and gives the region its pages back. The peer hears of it by the link, and
   * looks into the rings until then: they stay as they are. `closeHandle` and the link are the
   * opener's.
   */
  close(): void {
    if (this.down !== '') return
    this.flush()
    this.down = `${this.name} is closed`
    this.#turnAway()
    this.#side.close()
    this.#port.memory = 0
    this.#port.state = OFF
  }
}
