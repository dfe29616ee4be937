/**
 * One tcpdump-like line for every frame received (`<`) and sent (`>`):
 *
 *     12:00:01.000250 > 10.77.0.2.80 > 10.77.0.1.40000: S. seq 1 ack 1 win 65535
 *
 * What a frame says is the business of the layers above, so the text comes from a formatter that is
 * passed in. Frames pass through unchanged.
 */
import type { Clock } from '../clock.ts'
import type { Device } from '../device.ts'
import { DelegateDevice } from './delegate.ts'

/**
 * The text for the frame whose first `len` bytes lie at (view, off). `frameLen` is the length of
 * the whole frame: larger than `len` for a gathered frame, whose payload lies elsewhere. Must not
 * throw, whatever the bytes are. A formatter that ignores `frameLen` takes three arguments.
 */
export type FrameFormatter = (view: DataView, off: number, len: number, frameLen: number) => string

export interface TraceOptions {
  readonly format: FrameFormatter
  /** Takes one line, without its line break. */
  readonly write: (line: string) => void
  /** Microseconds since 1970; the trace shows the time of day in UTC. */
  readonly clock: Clock
}

/** `HH:MM:SS.micros` in UTC. */
export function formatTimeOfDay(us: number): string {
  const seconds = Math.floor(us / 1e6)
  const two = (n: number): string => String(n % 60).padStart(2, '0')
  const hours = String(Math.floor(seconds / 3600) % 24).padStart(2, '0')
  const micros = String(Math.floor(us % 1e6)).padStart(6, '0')
  return `${hours}:${two(Math.floor(seconds / 60))}:${two(seconds)}.${micros}`
}

/** Writes a line for each frame that passes the device inside it. */
export class TraceDevice extends DelegateDevice {
  readonly #format: FrameFormatter
  readonly #write: (line: string) => void
  readonly #clock: Clock

  constructor(inner: Device, options: TraceOptions) {
    super(inner)
    this.#format = options.format
    this.#write = options.write
    this.#clock = options.clock
  }

  override rx(): number {
    const count = this.inner.rx()
    for (let i = 0; i < count; i++) {
      const len = this.inner.rxLen[i]
      this.#trace('<', this.inner.rxOff[i], len, len)
    }
    return count
  }

  override push(off: number, len: number, request: number): void {
    this.#trace('>', off, len, len)
    this.inner.push(off, len, request)
  }

  override gather(
    off: number,
    len: number,
    bodyOff: number,
    bodyLen: number,
    request: number,
  ): void {
    this.#trace('>', off, len, len + bodyLen)
    this.inner.gather(off, len, bodyOff, bodyLen, request)
  }

  #trace(direction: string, off: number, len: number, frameLen: number): void {
    const text = this.#format(this.region.view, off, len, frameLen)
    this.#write(`${formatTimeOfDay(this.#clock())} ${direction} ${text}`)
  }
}
