/**
 * virtio_net_hdr (linux/virtio_net.h; Virtio 1.2 §5.1.6): the ten bytes in front of every frame on
 * a TAP, both ways, by which checksums and segmentation are left to the other side.
 *
 *   0 flags(8)  1 gso_type(8)  2 hdr_len(16)  4 gso_size(16)  6 csum_start(16)  8 csum_offset(16)
 *
 * Little-endian (TUNSETVNETLE), offsets count from the frame's first byte.
 */
import {
  OFFLOAD_NONE,
  offloadGsoSize,
  offloadIpVersion,
  offloadL4Off,
  RX_CSUM_GOOD,
  RX_CSUM_PARTIAL,
} from './device.ts'

/** Bytes of the header. */
export const VNET_HDR_LEN = 10

const FLAGS = 0
const GSO_TYPE = 1
const HDR_LEN = 2
const GSO_SIZE = 4
const CSUM_START = 6
const CSUM_OFFSET = 8

const F_NEEDS_CSUM = 1
const F_DATA_VALID = 2
const GSO_NONE = 0
const GSO_TCPV4 = 1
const GSO_TCPV6 = 4

/** RFC 9293 §3.1: where a TCP header has its data offset and its checksum. */
const TCP_DATA_OFF = 12
const TCP_CHECKSUM = 16

/** The RX_ flags that a received frame's header at `at` means. */
export function rxFlags(view: DataView, at: number): number {
  const flags = view.getUint8(at + FLAGS)
  if ((flags & F_NEEDS_CSUM) !== 0) return RX_CSUM_PARTIAL
  return (flags & F_DATA_VALID) !== 0 ? RX_CSUM_GOOD : 0
}

/**
 * Writes the header in front of the frame at `off`, whose headers lie there and which is `len`
 * bytes long, payload included. Segmentation is asked for only where more than one segment comes
 * out of it.
 */
export function writeVnetHdr(view: DataView, off: number, len: number, request: number): void {
  const at = off - VNET_HDR_LEN
  if (request === OFFLOAD_NONE) {
    view.setUint32(at, 0)
    view.setUint32(at + 4, 0)
    view.setUint16(at + 8, 0)
    return
  }
  const l4Off = offloadL4Off(request)
  const gsoSize = offloadGsoSize(request)
  const hdrLen = l4Off + (view.getUint8(off + l4Off + TCP_DATA_OFF) >> 4) * 4
  const large = gsoSize !== 0 && len - hdrLen > gsoSize
  const gsoType = offloadIpVersion(request) === 4 ? GSO_TCPV4 : GSO_TCPV6
  view.setUint8(at + FLAGS, F_NEEDS_CSUM)
  view.setUint8(at + GSO_TYPE, large ? gsoType : GSO_NONE)
  view.setUint16(at + HDR_LEN, large ? hdrLen : 0, true)
  view.setUint16(at + GSO_SIZE, large ? gsoSize : 0, true)
  view.setUint16(at + CSUM_START, l4Off, true)
  view.setUint16(at + CSUM_OFFSET, TCP_CHECKSUM, true)
}
