/**
 * What a conformance case runs against: a TCP/IP host at the other end of an Ethernet link, with an
 * application on it that does as it is told. Two are there: our own stack under a virtual clock
 * (ours.ts), and the Linux kernel behind a TAP in real time (linux.ts).
 */

/** One end of the link. */
export interface End {
  readonly mac: Uint8Array
  readonly ipv4: string
  readonly ipv6: string
}

/** How a target is set up for a case; what is left out is the ordinary. */
export interface Setup {
  readonly mtu?: number
  /** Bytes that the application's side takes before it is read; Linux: `tcp_rmem`. */
  readonly receiveBuffer?: number
  /** The case speaks IPv6. */
  readonly ipv6?: boolean
  /** The target has not heard of the peer's hardware address when the case begins. */
  readonly stranger?: boolean
  /** More addresses of the target, by their last byte: 10.77.0.N. */
  readonly more?: readonly number[]
  /** For Linux: `net.ipv4.tcp_syncookies` → `0`. Such a case gets a namespace of its own. */
  readonly sysctl?: Readonly<Record<string, string>>
  /** For ours: fields of TcpConfig. */
  readonly tcp?: Readonly<Record<string, number>>
}

/** The port on which the target's application listens; nobody listens on the other. */
export const OPEN_PORT = 80
export const CLOSED_PORT = 81

/** The byte of the application's stream at an offset, so that every segment can be checked. */
export const patternByte = (offset: number): number =>
  (Math.imul(offset ^ (offset >>> 11), 0x9e3779b1) >>> 24) & 0xff

/** An accepted connection, seen from the application. */
export interface AppConnection {
  /** Bytes that the application has read. */
  readonly received: Uint8Array
  /** `fin`, `reset`, `closed`: what it heard, in order. */
  readonly events: readonly string[]
  /** Adds `bytes` of the pattern to the stream. */
  write(bytes: number): void
  /** Sends nothing more; goes on reading. */
  close(): void
  /** Gives the connection up: the peer gets an RST. */
  abort(): void
  /** Reads no more, until `resume`. */
  pause(): void
  resume(): void
}

export interface Target {
  readonly kind: 'ours' | 'linux'
  /** The target itself, and the peer that the probe plays. */
  readonly self: End
  readonly peer: End
  readonly mtu: number
  /** The clock that cases are written in, milliseconds. */
  nowMs(): number
  /** Puts frames on the wire, to be received in one batch where that is possible. */
  send(...frames: Uint8Array[]): void
  /** The next frame of the target, or undefined when `ms` are over. */
  receive(ms: number): Promise<Uint8Array | undefined>
  /** The next frame that has come already, if any. */
  poll(): Uint8Array | undefined
  /** The application's end of the connection from a port of the peer, if it was accepted. */
  accepted(peerPort: number): AppConnection | undefined
  /** Connections that the target still knows in any state but TIME-WAIT; -1: cannot be told. */
  openConnections(): number
  close(): void
}
