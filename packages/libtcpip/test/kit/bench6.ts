/**
 * IPv6 without a stack: the host that input and neighbour discovery belong to, on one end of a
 * memory link. The peer is nothing but the frames a test lets in; every frame that leaves is
 * checked here: lengths, checksum by the naive twin, hardware address of a group.
 */
import assert from 'node:assert/strict'
import { FramePool, type MemoryPort, memoryLink, Region } from '@sandstorm/libnmio'
import {
  DROP_NAMES,
  ERRORS_BURST,
  ERRORS_PER_SECOND,
  IcmpError,
  Icmpv6Output,
  Ipv6Headers,
  type Ipv6Host,
  ipv6,
  ipv6Input,
  Ndp,
  type NdpOptions,
  TokenBucket,
} from '../../src/index.ts'
import { checksum6, frame6, OURS, packet6 } from './packet6.ts'

/** Ours is the hardware address of a link's second port, the peer's that of the first. */
export const OUR_MAC = '02000000000b'
export const PEER_MAC = '02000000000a'
export const OUR_LINK_LOCAL = 'fe80::ff:fe00:b'

export interface BenchOptions extends Partial<NdpOptions> {
  addresses?: string[]
  /** False: nothing has been started. */
  started?: boolean
  ringSize?: number
  mtu?: number
  frames?: number
}

/** An address as lookups take it. */
export type Words = [number, number, number, number]
export const words = (text: string): Words => [...ipv6.parse(text)] as Words

export class Bench6 implements Ipv6Host {
  readonly region: Region = new Region(1 << 20)
  readonly device: MemoryPort
  readonly frames: FramePool
  readonly output: Icmpv6Output
  readonly ndp: Ndp
  readonly headers: Ipv6Headers = new Ipv6Headers()
  readonly icmpError: IcmpError = new IcmpError()
  readonly errorLimit: TokenBucket = new TokenBucket(ERRORS_PER_SECOND, ERRORS_BURST)
  readonly hopLimit = 64
  now = 0
  /** What the stack would have heard. */
  conflicts: number[] = []
  segments: string[] = []
  errors: string[] = []
  /** Every drop, by name. */
  drops: string[] = []
  readonly #wire: MemoryPort

  /** By default one address, in use, and nothing sent so far. */
  constructor(options: BenchOptions = {}) {
    const ringSize = options.ringSize ?? 64
    const [wire, device] = memoryLink({ region: this.region, ringSize, mtu: options.mtu ?? 1500 })
    this.#wire = wire
    this.device = device
    this.frames = new FramePool(this.region, options.frames ?? 128)
    this.output = new Icmpv6Output(device, this.frames)
    const addresses = (options.addresses ?? [OURS]).map(text => ipv6.parse(text))
    const onConflict = (i: number): unknown => this.conflicts.push(i)
    this.ndp = new Ndp(this.output, addresses, onConflict, options)
    if (options.started === false) return
    this.ndp.start(this.now)
    this.advance(1000)
    this.take()
  }

  /** Lets a frame in that ends where the memory ends; returns the drop reason's name. */
  inputFrame(frame: Buffer, rxFlags: number = 0): string {
    const off = this.region.byteLength - frame.length
    this.region.bytes.set(frame, off)
    return DROP_NAMES[ipv6Input(this, off, frame.length, rxFlags, this.now)]
  }

  /** Lets a packet in, from the peer's hardware address to ours. */
  input(packet: Buffer, dstMac: string = OUR_MAC, srcMac: string = PEER_MAC): string {
    return this.inputFrame(frame6(dstMac, srcMac, packet))
  }

  lookup(address: string): number {
    return this.ndp.lookup(...words(address), this.now)
  }

  holds(entry: number, address: string): boolean {
    return this.ndp.holds(entry, ...words(address))
  }

  /** Lets time go by, ticking when a tick is asked for. */
  advance(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const wait = this.ndp.tick(this.now)
      assert.ok(wait !== 0, 'a tick leaves nothing due')
      if (wait < 0 || this.now + wait > end) break
      this.now += wait
    }
    this.now = end
  }

  /** Every frame sent since the last call, as hex. */
  take(): string[] {
    this.device.flush()
    const sent: string[] = []
    for (let count = this.#wire.rx(); count > 0; count = this.#wire.rx()) {
      for (let i = 0; i < count; i++) {
        const off = this.#wire.rxOff[i]
        const frame = Buffer.from(this.region.bytes.slice(off, off + this.#wire.rxLen[i]))
        expectSound(frame)
        sent.push(frame.toString('hex'))
      }
    }
    const done = this.device.reclaim()
    for (let i = 0; i < done; i++) this.frames.complete(this.device.doneOff[i])
    return sent
  }

  onTcp6(_ip: number, off: number, len: number): number {
    this.segments.push(Buffer.from(this.region.bytes.slice(off, off + len)).toString('hex'))
    return 0
  }

  onIcmpError(e: IcmpError): number {
    const [local, remote] = [e.local, e.remote].map(a => ipv6.formatAddress(...([...a] as Words)))
    this.errors.push(
      `${e.type}/${e.code} mtu ${e.mtu} ${local}.${e.localPort} > ${remote}.${e.remotePort} seq ${e.seq}`,
    )
    return 0
  }

  drop(reason: number): number {
    this.drops.push(DROP_NAMES[reason])
    return reason
  }
}

/** An ICMPv6 frame of ours, right in every length and sum. */
function expectSound(frame: Buffer): void {
  const hex = frame.toString('hex')
  assert.equal(hex.slice(12, 24), OUR_MAC, hex)
  assert.equal(frame.readUInt16BE(18), frame.length - 54, `the length: ${hex}`)
  assert.ok(frame.length - 14 <= 1500)
  const off = frame[20] === 0 ? 62 : 54
  const dst = frame.subarray(38, 54)
  const sum = checksum6(frame.subarray(22, 38), dst, 58, frame.subarray(off))
  assert.equal(sum, 0xffff, `the checksum: ${hex}`)
  if (dst[0] === 0xff) {
    assert.equal(hex.slice(0, 12), `3333${dst.subarray(12).toString('hex')}`, 'its group')
  }
}

/** An ICMPv6 frame that we send, as hex. */
export function sentFrame(
  src: string,
  dst: string,
  dstMac: string,
  payload: Buffer,
  hop = 255,
): string {
  return frame6(dstMac, OUR_MAC, packet6({ src, dst, hopLimit: hop, payload })).toString('hex')
}
