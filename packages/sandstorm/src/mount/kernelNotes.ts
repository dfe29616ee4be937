/** The access log as one connection of the kernel mount writes to it. */
import type { Socket } from 'node:net'
import type { AccessLog } from '../log/accessLog.ts'
import { type ClientAddress, clientAddress } from '../log/client.ts'

export class KernelNotes {
  readonly client: ClientAddress
  readonly #port: number
  readonly #log: AccessLog | undefined
  readonly #clock: () => number

  /** `clock`: milliseconds since 1970. */
  constructor(socket: Socket, log: AccessLog | undefined, clock: () => number) {
    this.client = clientAddress(socket.remoteAddress)
    this.#port = socket.remotePort ?? 0
    this.#log = log
    this.#clock = clock
  }

  /** The request in bytes[start, end) was answered; `flags` as in accessLog.ts. */
  add(
    bytes: Uint8Array,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    flags: number,
  ): void {
    const log = this.#log
    if (log === undefined) return
    const { version, w0, w1, w2, w3 } = this.client
    log.timeMs = this.#clock()
    log.request(version, w0, w1, w2, w3, this.#port, bytes, start, end, status, bodyBytes, flags)
  }
}
