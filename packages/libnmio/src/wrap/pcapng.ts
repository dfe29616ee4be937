/**
 * The blocks of a pcapng file that one capture of one interface needs (draft-ietf-opsawg-pcapng
 * §4.1 section header, §4.2 interface description, §4.3 enhanced packet). Little-endian, which the
 * byte-order magic tells the reader. Writers return the offset behind what they wrote.
 */

/** The longest part of a frame that is kept; what tshark takes at most. */
export const SNAPLEN = 262144
/** epb_flags (§4.3.1): the frame was received, or sent. */
export const INBOUND = 1
export const OUTBOUND = 2

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const LINKTYPE_ETHERNET = 1

// option codes; §3.5
const END_OF_OPTIONS = 0
const SHB_USERAPPL = 4
const IF_NAME = 2
const IF_MACADDR = 6
const IF_TSRESOL = 9
const EPB_FLAGS = 2

/** Bytes of an enhanced packet block in front of the frame, and behind frame and padding. */
const PACKET_HEAD_LEN = 28
const PACKET_TAIL_LEN = 16

/** Lengths are rounded up to whole 32-bit words. */
const padded = (len: number): number => (len + 3) & ~3

/** The size of the block that holds `len` bytes of frame. */
export const packetBlockLen = (len: number): number =>
  PACKET_HEAD_LEN + padded(len) + PACKET_TAIL_LEN

function writeOption(view: DataView, at: number, code: number, value: Uint8Array): number {
  view.setUint16(at, code, true)
  view.setUint16(at + 2, value.length, true)
  for (let i = 0; i < padded(value.length); i++) view.setUint8(at + 4 + i, value[i] ?? 0)
  return at + 4 + padded(value.length)
}

/** Ends the options and the block that began at `start`: its length goes to both ends. */
function endBlock(view: DataView, start: number, at: number): number {
  view.setUint32(at, END_OF_OPTIONS, true)
  const len = at + 8 - start
  view.setUint32(start + 4, len, true)
  view.setUint32(at + 4, len, true)
  return at + 8
}

/** Section header block: what wrote the file. */
export function writeSectionHeader(view: DataView, at: number, application: string): number {
  view.setUint32(at, SECTION_HEADER, true)
  view.setUint32(at + 8, BYTE_ORDER_MAGIC, true)
  view.setUint16(at + 12, 1, true)
  view.setUint16(at + 14, 0, true)
  view.setBigInt64(at + 16, -1n, true) // section length: not given
  const end = writeOption(view, at + 24, SHB_USERAPPL, Buffer.from(application))
  return endBlock(view, at, end)
}

/** Interface description block: Ethernet, times in microseconds. */
export function writeInterface(view: DataView, at: number, name: string, mac: Uint8Array): number {
  view.setUint32(at, INTERFACE_DESCRIPTION, true)
  view.setUint16(at + 8, LINKTYPE_ETHERNET, true)
  view.setUint16(at + 10, 0, true)
  view.setUint32(at + 12, SNAPLEN, true)
  let end = writeOption(view, at + 16, IF_NAME, Buffer.from(name))
  end = writeOption(view, end, IF_MACADDR, mac)
  end = writeOption(view, end, IF_TSRESOL, Uint8Array.of(6))
  return endBlock(view, at, end)
}

/**
 * The head of an enhanced packet block for a frame of `len` bytes, of which `kept` are in the file.
 * Returns where those bytes go; writePacketTail finishes the block.
 */
export function writePacketHead(
  view: DataView,
  at: number,
  us: number,
  kept: number,
  len: number,
): number {
  view.setUint32(at, ENHANCED_PACKET, true)
  view.setUint32(at + 4, packetBlockLen(kept), true)
  view.setUint32(at + 8, 0, true) // the section's only interface
  view.setUint32(at + 12, Math.floor(us / 0x100000000), true)
  view.setUint32(at + 16, Math.floor(us) % 0x100000000, true)
  view.setUint32(at + 20, kept, true)
  view.setUint32(at + 24, len, true)
  return at + PACKET_HEAD_LEN
}

/** Padding, direction and the closing length, behind the `kept` bytes that begin at `dataAt`. */
export function writePacketTail(
  view: DataView,
  dataAt: number,
  kept: number,
  direction: number,
): number {
  let at = dataAt + kept
  const end = dataAt + padded(kept)
  while (at < end) view.setUint8(at++, 0)
  view.setUint16(at, EPB_FLAGS, true)
  view.setUint16(at + 2, 4, true)
  view.setUint32(at + 4, direction, true)
  view.setUint32(at + 8, END_OF_OPTIONS, true)
  view.setUint32(at + 12, packetBlockLen(kept), true)
  return at + PACKET_TAIL_LEN
}
