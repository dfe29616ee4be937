/**
 * Records every frame received and pushed in a pcapng file: Wireshark and tshark open it, also
 * while it grows. Frames pass through unchanged.
 *
 * The file shows whole IP packets: gathered pieces are joined, super-frames stay in one piece, and
 * a checksum that is left to the device (or was left to hardware by the sender) is finished in the
 * file's copy alone, so that checksum validation has nothing to complain about.
 *
 * Blocks collect in one buffer that is written in large pieces: when it is full, a second after the
 * last write, and at close. The file ends with a whole block whenever nothing is buffered.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { assert } from '../assert.ts'
import { completeChecksum } from '../checksum.ts'
import type { Clock } from '../clock.ts'
import { type Device, OFFLOAD_CSUM, RX_CSUM_PARTIAL } from '../device.ts'
import type { Region } from '../region.ts'
import { DelegateDevice } from './delegate.ts'
import {
  INBOUND,
  OUTBOUND,
  packetBlockLen,
  SNAPLEN,
  writeInterface,
  writePacketHead,
  writePacketTail,
  writeSectionHeader,
} from './pcapng.ts'

export interface PcapOptions {
  /** The file, made anew; set-up throws Node's error if that fails. */
  readonly path: string
  /** Microseconds since 1970. */
  readonly clock: Clock
  /** Where `gather` finds payload; needed only if it is called. */
  readonly content?: Region
  /** Told why the capture ends early (disk full); the device works on. */
  readonly onError?: (why: string) => void
}

const BUFFER_BYTES = 1 << 20
const WRITE_EVERY_US = 1e6

assert(BUFFER_BYTES >= packetBlockLen(SNAPLEN), 'the buffer holds the largest block')

/** Writes all frames of the device within to a pcapng file. */
export class PcapDevice extends DelegateDevice {
  readonly #fd: number
  readonly #clock: Clock
  readonly #content: Region | undefined
  readonly #bytes: Uint8Array = new Uint8Array(BUFFER_BYTES)
  readonly #view: DataView = new DataView(this.#bytes.buffer)
  #used = 0
  #writtenUs: number
  #closed = false
  readonly #onError: (why: string) => void
  #hasFailed = false

  constructor(inner: Device, options: PcapOptions) {
    super(inner)
    this.#fd = openSync(options.path, 'w')
    this.#clock = options.clock
    this.#content = options.content
    this.#onError = options.onError ?? (() => {})
    this.#writtenUs = this.#clock()
    this.#used = writeSectionHeader(this.#view, 0, 'sandstorm')
    this.#used = writeInterface(this.#view, this.#used, inner.name, inner.mac)
    this.#write()
  }

  override rx(): number {
    const { rxOff, rxLen, rxFlags } = this.inner
    const count = this.inner.rx()
    for (let i = 0; i < count; i++) {
      this.#record(INBOUND, rxOff[i], rxLen[i], 0, 0, (rxFlags[i] & RX_CSUM_PARTIAL) !== 0)
    }
    return count
  }

  override push(off: number, len: number, request: number): void {
    this.#record(OUTBOUND, off, len, 0, 0, (request & OFFLOAD_CSUM) !== 0)
    this.inner.push(off, len, request)
  }

  override gather(
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    request: number,
  ): void {
    this.#record(OUTBOUND, off, len, bodyOff, bodyLen, (request & OFFLOAD_CSUM) !== 0)
    this.inner.gather(off, len, bodyOff, bodyLen, request)
  }

  /** While something is buffered it also ends when that should be written. */
  override wait(timeoutUs: number): void {
    if (this.#used === 0) {
      this.inner.wait(timeoutUs)
      return
    }
    const left = Math.max(0, Math.ceil(this.#writtenUs + WRITE_EVERY_US - this.#clock()))
    this.inner.wait(timeoutUs >= 0 && timeoutUs < left ? timeoutUs : left)
    if (this.#clock() - this.#writtenUs >= WRITE_EVERY_US) this.#write()
  }

  override close(): void {
    if (!this.#closed) {
      this.#write()
      this.#closed = true
      closeSync(this.#fd)
    }
    this.inner.close()
  }

  #record(
    direction: number,
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    partialChecksum: boolean,
  ): void {
    if (this.#closed || this.#hasFailed) return
    const now = this.#clock()
    const kept = Math.min(len + bodyLen, SNAPLEN)
    const room = BUFFER_BYTES - this.#used
    if (packetBlockLen(kept) > room || now - this.#writtenUs >= WRITE_EVERY_US) this.#write()
    const at = writePacketHead(this.#view, this.#used, now, kept, len + bodyLen)
    this.#bytes.set(this.region.bytes.subarray(off, off + Math.min(len, kept)), at)
    if (bodyLen > 0) {
      assert(this.#content !== undefined, 'gather needs the content region')
      this.#bytes.set(this.#content.bytes.subarray(bodyOff, bodyOff + kept - len), at + len)
    }
    if (partialChecksum) completeChecksum(this.#view, at, kept)
    this.#used = writePacketTail(this.#view, at, kept, direction)
  }

  /** Empties the buffer into the file. An error ends the capture, not the device. */
  #write(): void {
    this.#writtenUs = this.#clock()
    try {
      for (let at = 0; at < this.#used && !this.#hasFailed; ) {
        at += writeSync(this.#fd, this.#bytes, at, this.#used - at)
      }
    } catch (error) {
      this.#hasFailed = true
      this.#onError(error instanceof Error ? error.message : String(error))
    }
    this.#used = 0
  }
}
