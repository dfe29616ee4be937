/**
 * TCP options: a reader that fills one object made at start-up, and writers (RFC 9293 §3.2,
 * RFC 7323 §2 and §3 for window scale and timestamps, RFC 2018 §2 and §3 for SACK).
 *
 * Invariant: whatever the bytes are, the parse ends inside the header and leaves each field either
 * at "absent" or at a value that the peer may send.
 */
import { flags, HEADER_LEN, headerLen, SYN } from './tcp.ts'

export const KIND_EOL = 0
export const KIND_NOP = 1
export const KIND_MSS = 2
export const KIND_WINDOW_SCALE = 3
export const KIND_SACK_PERMITTED = 4
export const KIND_SACK = 5
export const KIND_TIMESTAMPS = 8

export const MSS_LEN = 4
export const WINDOW_SCALE_LEN = 3
export const SACK_PERMITTED_LEN = 2
export const TIMESTAMPS_LEN = 10
/** What fits into 40 bytes of options. */
export const SACK_BLOCKS_MAX = 4

/** Timestamps as nearly every segment has them (RFC 7323 appendix A): NOP, NOP, kind, length … */
const NOP_NOP_TIMESTAMPS =
  (KIND_NOP << 24) | (KIND_NOP << 16) | (KIND_TIMESTAMPS << 8) | TIMESTAMPS_LEN
/** … and TSval and TSecr: twelve bytes. */
export const ALIGNED_TIMESTAMPS_LEN = 12
/** What their first word adds to a checksum. */
export const ALIGNED_TIMESTAMPS_SUM: number =
  (NOP_NOP_TIMESTAMPS >>> 16) + (NOP_NOP_TIMESTAMPS & 0xffff)

/** RFC 7323 §2.3: a larger shift count is used as 14. */
export const WINDOW_SCALE_MAX = 14

/** The options of one segment, as they were parsed. */
export class TcpOptions {
  /** Maximum segment size; 0: absent. SYN only. */
  mss = 0
  /** Shift count, at most 14; -1: absent. SYN only. */
  windowScale = -1
  /** SYN only. */
  sackPermitted = false
  timestamps = false
  /** int32; only with `timestamps`. */
  tsVal = 0
  tsEcr = 0
  /**
   * SACK blocks, at most 4: [sackStart[i], sackEnd[i]) in the order of the option (RFC 2018 §3).
   */
  sackCount = 0
  readonly sackStart: Int32Array = new Int32Array(SACK_BLOCKS_MAX)
  readonly sackEnd: Int32Array = new Int32Array(SACK_BLOCKS_MAX)
  /** How many impossible options were met since start-up; never reset. */
  malformed = 0

  /**
   * Reads the options of the TCP header at `off`, which `tcp.check` found right. An option that
   * cannot fit ends the parse, since what follows has no known place; a known kind with another
   * length than its own is skipped, as Linux does. Options that are meant for a SYN are ignored
   * elsewhere (RFC 7323 §2.2).
   */
  parse(view: DataView, off: number): void {
    this.#clear()
    const len = headerLen(view, off)
    if (len === HEADER_LEN) return
    if (hasTimestampsAlone(view, off)) this.#takeTimestamps(view, off + HEADER_LEN + 2)
    else this.#walk(view, off, off + len)
  }

  #clear(): void {
    this.mss = 0
    this.windowScale = -1
    this.sackPermitted = false
    this.timestamps = false
    this.tsVal = 0
    this.tsEcr = 0
    this.sackCount = 0
  }

  #walk(view: DataView, off: number, end: number): void {
    const syn = (flags(view, off) & SYN) !== 0
    let at = off + HEADER_LEN
    while (at < end) {
      const kind = view.getUint8(at)
      if (kind === KIND_EOL) return
      if (kind === KIND_NOP) {
        at++
        continue
      }
      const len = at + 1 < end ? view.getUint8(at + 1) : 0
      if (len < 2 || at + len > end) {
        this.malformed++
        return
      }
      this.#take(view, at, kind, len, syn)
      at += len
    }
  }

  #takeTimestamps(view: DataView, at: number): void {
    this.timestamps = true
    this.tsVal = view.getInt32(at + 2)
    this.tsEcr = view.getInt32(at + 6)
  }

  #takeSack(view: DataView, at: number, len: number): void {
    const count = (len - 2) >> 3
    if (len !== 2 + 8 * count || count > SACK_BLOCKS_MAX) {
      this.malformed++
      return
    }
    this.sackCount = count
    for (let i = 0; i < count; i++) {
      this.sackStart[i] = view.getInt32(at + 2 + 8 * i)
      this.sackEnd[i] = view.getInt32(at + 6 + 8 * i)
    }
  }

  /** Notes one option that lies wholly inside the header. */
  #take(view: DataView, at: number, kind: number, len: number, syn: boolean): void {
    if (len !== lengthOf(kind, len)) {
      this.malformed++
    } else if (kind === KIND_SACK) {
      this.#takeSack(view, at, len)
    } else if (kind === KIND_TIMESTAMPS) {
      this.#takeTimestamps(view, at)
    } else if (!syn) {
      return
    } else if (kind === KIND_MSS) {
      this.mss = view.getUint16(at + 2)
    } else if (kind === KIND_WINDOW_SCALE) {
      this.windowScale = Math.min(view.getUint8(at + 2), WINDOW_SCALE_MAX)
    } else if (kind === KIND_SACK_PERMITTED) {
      this.sackPermitted = true
    }
  }
}

/**
 * Are the options of the TCP header at `off` NOP, NOP and timestamps, as all senders write them?
 */
export const hasTimestampsAlone = (view: DataView, off: number): boolean =>
  headerLen(view, off) === HEADER_LEN + ALIGNED_TIMESTAMPS_LEN &&
  view.getInt32(off + HEADER_LEN) === NOP_NOP_TIMESTAMPS

/** TSval of such a header, int32. */
export const tsValAlone = (view: DataView, off: number): number =>
  view.getInt32(off + HEADER_LEN + 4)

/** The legal length of a known kind; `len` itself where others are legal too. */
function lengthOf(kind: number, len: number): number {
  switch (kind) {
    case KIND_MSS:
      return MSS_LEN
    case KIND_WINDOW_SCALE:
      return WINDOW_SCALE_LEN
    case KIND_SACK_PERMITTED:
      return SACK_PERMITTED_LEN
    case KIND_TIMESTAMPS:
      return TIMESTAMPS_LEN
    default:
      return len
  }
}

/** Writes an MSS option; returns the offset behind it, as all writers here. */
export function writeMss(view: DataView, off: number, mss: number): number {
  view.setUint8(off, KIND_MSS)
  view.setUint8(off + 1, MSS_LEN)
  view.setUint16(off + 2, mss)
  return off + MSS_LEN
}

/** Writes a NOP and a window scale option: four bytes. */
export function writeWindowScale(view: DataView, off: number, shift: number): number {
  view.setUint8(off, KIND_NOP)
  view.setUint8(off + 1, KIND_WINDOW_SCALE)
  view.setUint8(off + 2, WINDOW_SCALE_LEN)
  view.setUint8(off + 3, shift)
  return off + 1 + WINDOW_SCALE_LEN
}

/** Writes two NOPs and a SACK-permitted option: four bytes. */
export function writeSackPermitted(view: DataView, off: number): number {
  view.setUint16(off, (KIND_NOP << 8) | KIND_NOP)
  view.setUint16(off + 2, (KIND_SACK_PERMITTED << 8) | SACK_PERMITTED_LEN)
  return off + 4
}

/** Writes two NOPs and a timestamps option: twelve bytes. */
export function writeTimestamps(view: DataView, off: number, tsVal: number, tsEcr: number): number {
  view.setInt32(off, NOP_NOP_TIMESTAMPS)
  setTimestamps(view, off, tsVal, tsEcr)
  return off + ALIGNED_TIMESTAMPS_LEN
}

/** Renews both values of what `writeTimestamps` wrote at `off`. */
export function setTimestamps(view: DataView, off: number, tsVal: number, tsEcr: number): void {
  view.setInt32(off + 4, tsVal)
  view.setInt32(off + 8, tsEcr)
}

/**
 * SACK-permitted in the place of the NOPs of a timestamps option: as Linux packs both into 12
 * bytes.
 */
export function writeSackPermittedAndTimestamps(
  view: DataView,
  off: number,
  tsVal: number,
  tsEcr: number,
): number {
  const end = writeTimestamps(view, off, tsVal, tsEcr)
  view.setUint16(off, (KIND_SACK_PERMITTED << 8) | SACK_PERMITTED_LEN)
  return end
}

/**
 * Ends the options of the TCP header at `header` that reach up to `off`: fills with EOL to a
 * multiple of four bytes. Returns the offset behind the header.
 */
export function pad(view: DataView, header: number, off: number): number {
  const end = header + ((off - header + 3) & ~3)
  while (off < end) view.setUint8(off++, KIND_EOL)
  return end
}
