/**
 * How far loading has come, as one line on a terminal that is written over and at last wiped away.
 */

/** Redrawn at most so often. */
const EVERY_MS = 100
/** A load that is over before this is not worth a line. */
const FIRST_MS = 200

export class LoadProgress {
  readonly #write: (text: string) => void
  readonly #nowMs: () => number
  readonly #beginMs: number
  #shownMs: number
  #isShown = false

  /** `write` takes text for the terminal; `nowMs` is a clock that never goes back. */
  constructor(write: (text: string) => void, nowMs: () => number) {
    this.#write = write
    this.#nowMs = nowMs
    this.#beginMs = nowMs()
    this.#shownMs = this.#beginMs + FIRST_MS - EVERY_MS
  }

  /** As loadContent tells it. */
  update(files: number, totalFiles: number, bytes: number, totalBytes: number): void {
    const nowMs = this.#nowMs()
    if (files === totalFiles) this.#wipe()
    else if (nowMs - this.#shownMs >= EVERY_MS) {
      this.#shownMs = nowMs
      this.#isShown = true
      const share = totalBytes === 0 ? files / totalFiles : bytes / totalBytes
      const seconds = ((nowMs - this.#beginMs) / 1000).toFixed(1)
      this.#write(
        `\r\x1b[Kloading ${bar(share)} ${files} of ${totalFiles} files, ` +
          `${mebibytes(bytes)} of ${mebibytes(totalBytes)} MiB, ${seconds} s`,
      )
    }
  }

  #wipe(): void {
    if (this.#isShown) this.#write('\r\x1b[K')
    this.#isShown = false
  }
}

const BAR_CHARS = 20

function bar(share: number): string {
  const filled = Math.round(share * BAR_CHARS)
  return `[${'#'.repeat(filled)}${' '.repeat(BAR_CHARS - filled)}]`
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
