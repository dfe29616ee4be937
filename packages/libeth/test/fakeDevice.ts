/**
 * The least device that ARP can talk through: it keeps what is pushed, as hex, and completes it at
 * once or on demand. Frames to be received are written into a page of their own.
 */
import {
  type Capabilities,
  type Device,
  type DeviceStats,
  FramePool,
  newDeviceStats,
  Region,
} from '@sandstorm/libnmio'

export class FakeDevice implements Device {
  readonly name = 'fake'
  readonly region: Region = new Region(65536)
  readonly mtu = 1500
  readonly mac: Uint8Array = Uint8Array.of(0x02, 0, 0, 0, 0, 0x02)
  readonly caps: Capabilities = { txChecksum: false, gsoMaxBytes: 0, gather: false, zeroCopy: true }
  readonly stats: DeviceStats = newDeviceStats()
  readonly down = ''
  readonly rxOff: Int32Array = new Int32Array(1)
  readonly rxLen: Int32Array = new Int32Array(1)
  readonly rxFlags: Int32Array = new Int32Array(1)
  readonly doneOff: Int32Array = new Int32Array(1)
  readonly frames: FramePool
  /** Where a test writes the frame that it lets in; nothing may be read behind the page. */
  readonly rxPage: number
  /** Every frame pushed, as hex, oldest first. */
  sent: string[] = []
  space = 1000

  constructor() {
    this.rxPage = this.region.reserve(2048, 2048)
    this.frames = new FramePool(this.region, 8)
  }

  txSpace(): number {
    return this.space
  }
  push(off: number, len: number): void {
    this.sent.push(Buffer.from(this.region.bytes.slice(off, off + len)).toString('hex'))
    this.frames.complete(off)
  }
  /** What was pushed since the last call. */
  takeSent(): string[] {
    const sent = this.sent
    this.sent = []
    return sent
  }
  /** Writes a frame given as hex; returns its length. */
  receive(hex: string): number {
    const bytes = Buffer.from(hex, 'hex')
    this.region.bytes.set(bytes, this.rxPage)
    return bytes.length
  }

  rx(): number {
    return 0
  }
  gather(): void {}
  flush(): void {}
  reclaim(): number {
    return 0
  }
  wait(): void {}
  linkMtu(): number {
    return this.mtu
  }
  close(): void {}
}

/** An address as int32. */
export const ip = (text: string): number =>
  text.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0)

const hex8 = (n: number): string => (n >>> 0).toString(16).padStart(8, '0')

export const BROADCAST = 'ffffffffffff'
export const NOBODY = '000000000000'

export interface ArpFields {
  op: number
  senderMac: string
  senderIp: string
  targetMac?: string
  targetIp: string
  dst?: string
}

/** An ARP frame as hex, written out from RFC 826, without the library's accessors. */
export function arpFrame(f: ArpFields): string {
  const ether = `${f.dst ?? BROADCAST}${f.senderMac}0806`
  const fixed = `000108000604000${f.op}`
  const sender = f.senderMac + hex8(ip(f.senderIp))
  return ether + fixed + sender + (f.targetMac ?? NOBODY) + hex8(ip(f.targetIp))
}
