/** The access log as the mount on our own TCP writes to it: clients are read from their TCBs. */
import { type Tcp, tcb } from '@sandstorm/libtcpip'
import type { Answered } from '../front/answered.ts'
import type { HttpMachine } from '../http/machine.ts'
import { type AccessLog, CLOSES, FROM_STORE, HEAD_ONLY } from '../log/accessLog.ts'
import { clientText } from '../log/client.ts'

export class TcpNotes {
  readonly #log: AccessLog | undefined
  #tcp!: Tcp

  constructor(log: AccessLog | undefined) {
    this.#log = log
  }

  /** The TCP below. */
  attach(tcp: Tcp): void {
    this.#tcp = tcp
  }

  /** The client of a connection, for people and for origins. */
  clientOf(c: number): string {
    const table = this.#tcp.tcb
    const [w0, w1] = [table[c + tcb.REMOTE], table[c + tcb.REMOTE + 1]]
    const [w2, w3] = [table[c + tcb.REMOTE + 2], table[c + tcb.REMOTE + 3]]
    return clientText({ version: this.#versionOf(c), w0, w1, w2, w3 })
  }

  /** The request in bytes[start, end) was answered, as the machine says. Allocates nothing. */
  answered(c: number, bytes: Uint8Array, start: number, end: number, http: HttpMachine): void {
    const from = http.isHit ? FROM_STORE : 0
    const flags = (http.headOnly ? HEAD_ONLY : 0) | (http.close ? CLOSES : 0) | from
    this.add(c, bytes, start, end, http.status, http.bodyBytes, flags)
  }

  /**
   * The request in bytes[start, end) was answered; `flags` as in accessLog.ts. Allocates nothing.
   */
  add(
    c: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    status: number,
    bodyBytes: number,
    flags: number,
  ): void {
    const log = this.#log
    if (log === undefined) return
    const table = this.#tcp.tcb
    log.request(
      this.#versionOf(c),
      table[c + tcb.REMOTE],
      table[c + tcb.REMOTE + 1],
      table[c + tcb.REMOTE + 2],
      table[c + tcb.REMOTE + 3],
      table[c + tcb.PORTS] >>> 16,
      bytes,
      start,
      end,
      status,
      bodyBytes,
      flags,
    )
  }

  /** The request with this head was answered by its origin, as far as this says. */
  forwarded(c: number, head: Uint8Array, status: number, answered: Answered): void {
    const { bodyBytes, from, close } = answered
    this.add(c, head, 0, head.length, status, bodyBytes, from | (close ? CLOSES : 0))
  }

  #versionOf(c: number): 4 | 6 {
    return this.#tcp.tcb[c + tcb.FRAME_KEY] & tcb.KIND_IPV6 ? 6 : 4
  }
}
