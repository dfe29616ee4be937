/**
 * A port that gathers, as a TAP does, on top of one that does not: the pieces are joined in its own
 * buffers. With `offloads` it also completes checksums and cuts super-frames into segments, the
 * slow way, as a NIC with TSO does (Linux: net/ipv4/tcp_offload.c).
 */
import {
  type Capabilities,
  type Device,
  type DeviceStats,
  FramePool,
  OFFLOAD_NONE,
  offloadGsoSize,
  offloadIpVersion,
  offloadL4Off,
  type Region,
} from '@sandstorm/libnmio'
import {
  type Address,
  addressAt,
  buildFrame,
  FIN,
  naiveSum,
  PSH,
  pseudoHeader,
} from '../reference/frame.ts'

const SEGMENTS_MAX = 512
const ETHERNET = 14

export class GatherPort implements Device {
  readonly inner: Device
  readonly name = 'gather'
  readonly region: Region
  readonly mtu: number
  readonly mac: Uint8Array
  readonly caps: Capabilities
  readonly stats: DeviceStats
  readonly rxOff: Int32Array
  readonly rxLen: Int32Array
  readonly rxFlags: Int32Array
  readonly doneOff: Int32Array = new Int32Array(4096)
  /** Frames that asked to be cut. */
  superFrames = 0
  readonly #frames: FramePool
  #done = 0

  constructor(inner: Device, offloads: boolean) {
    this.inner = inner
    this.region = inner.region
    this.mtu = inner.mtu
    this.mac = inner.mac
    this.caps = {
      txChecksum: offloads,
      gsoMaxBytes: offloads ? 65549 : 0,
      gather: true,
      zeroCopy: false,
    }
    this.stats = inner.stats
    this.rxOff = inner.rxOff
    this.rxLen = inner.rxLen
    this.rxFlags = inner.rxFlags
    this.#frames = new FramePool(inner.region, 1024, inner.mtu > 1500 ? 14 : 11)
  }

  get down(): string {
    return this.inner.down
  }
  rx(): number {
    return this.inner.rx()
  }
  txSpace(): number {
    const room = Math.min(this.inner.txSpace(), this.#frames.freeCount)
    return this.caps.gsoMaxBytes === 0 ? room : Math.floor(room / SEGMENTS_MAX)
  }
  push(off: number, len: number, request: number): void {
    this.gather(off, len, 0, 0, request)
  }
  gather(off: number, len: number, bodyOff: number, bodyLen: number, request: number): void {
    const { bytes } = this.region
    const head = bytes.slice(off, off + len)
    const frame = Buffer.concat([head, bytes.subarray(bodyOff, bodyOff + bodyLen)])
    this.doneOff[this.#done++] = off
    const most = this.caps.gsoMaxBytes > 0 ? this.caps.gsoMaxBytes : ETHERNET + this.mtu
    if (frame.length > most) throw new Error(`${frame.length} bytes in a frame of ${most}`)
    if (request === OFFLOAD_NONE) this.#pushInner(frame)
    else for (const segment of cut(frame, request)) this.#pushInner(segment)
  }
  flush(): void {
    this.inner.flush()
  }
  reclaim(): number {
    const count = this.inner.reclaim()
    for (let i = 0; i < count; i++) this.#frames.complete(this.inner.doneOff[i])
    const done = this.#done
    this.#done = 0
    return done
  }
  wait(timeoutUs: number): void {
    this.inner.wait(timeoutUs)
  }
  linkMtu(): number {
    return this.mtu
  }
  close(): void {
    this.inner.close()
  }

  #pushInner(bytes: Uint8Array): void {
    const frame = this.#frames.alloc()
    const off = this.#frames.payloadOff(frame)
    this.region.bytes.set(bytes, off)
    this.inner.push(off, bytes.length, OFFLOAD_NONE)
    this.#frames.sent(frame)
  }
}

/** Checks the pseudo-header sum that was left in the checksum field, then builds each segment. */
function cut(frame: Uint8Array, request: number): Uint8Array[] {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const tcp = offloadL4Off(request)
  const payloadOff = tcp + (view.getUint8(tcp + 12) >> 4) * 4
  const tcpLen = frame.length - tcp
  const six = view.getUint16(12) === 0x86dd
  const version = six ? 6 : 4
  if (offloadIpVersion(request) !== version) throw new Error('not its IP version')
  const srcAddr: Address = six ? addressAt(frame, 22) : view.getInt32(26)
  const dstAddr: Address = six ? addressAt(frame, 38) : view.getInt32(30)
  const pseudo = Uint8Array.from(pseudoHeader(srcAddr, dstAddr, tcpLen))
  if (naiveSum(pseudo) !== view.getUint16(tcp + 16)) throw new Error('not the pseudo-header sum')
  if (six) {
    if (view.getUint16(18) !== tcpLen) throw new Error('not the payload length')
  } else if (naiveSum(frame.subarray(14, 34)) !== 0xffff) throw new Error('bad IP checksum')
  const size = offloadGsoSize(request) || frame.length
  const segments: Uint8Array[] = []
  for (let at = payloadOff; at < frame.length; at += size) {
    const isLast = at + size >= frame.length
    const flags = view.getUint8(tcp + 13)
    segments.push(
      buildFrame({
        dstMac: frame.subarray(0, 6),
        srcMac: frame.subarray(6, 12),
        srcAddr,
        dstAddr,
        srcPort: view.getUint16(tcp),
        dstPort: view.getUint16(tcp + 2),
        seq: (view.getInt32(tcp + 4) + at - payloadOff) | 0,
        ack: view.getInt32(tcp + 8),
        flags: isLast ? flags : flags & ~(FIN | PSH),
        window: view.getUint16(tcp + 14),
        tos: six ? (view.getUint16(14) >> 4) & 0xff : frame[15],
        options: frame.subarray(tcp + 20, payloadOff),
        payload: frame.subarray(at, Math.min(frame.length, at + size)),
      }),
    )
  }
  return segments
}
