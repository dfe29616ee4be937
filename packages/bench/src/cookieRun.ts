/**
 * A server whose SYN table is full: what a SYN costs that gets a cookie, and an ACK with a made-up
 * one, from the receive ring to the answer. Only the time inside `server.poll` counts. Sources are
 * random, so that no cache knows them.
 */
import { assert, BATCH_MAX, memoryLink } from '@sandstorm/libnmio'
import { ipv4Address, tcp } from '@sandstorm/libtcpip'
import { type Content, Server } from 'sandstorm'
import { ClientWire } from './clientWire.ts'

const ADDRESS = ipv4Address('10.0.0.1', 8)
const PORT = 80
const POLL_US = 50
const NOTHING = new Uint8Array(0)

const random = (): number => (Math.random() * 2 ** 32) | 0

export class CookieRun {
  readonly server: Server
  /** Milliseconds inside server.poll. */
  ms = 0
  readonly #wire: ClientWire
  #nowUs = 1e9

  constructor(content: Content) {
    const [near, far] = memoryLink({ region: content.region })
    this.#wire = new ClientWire(
      { device: far, serverMac: near.mac, serverAddress: ADDRESS.w0, serverPort: PORT },
      1024,
    )
    this.server = new Server({
      device: near,
      content,
      addresses: [ADDRESS],
      gateway: ipv4Address('10.0.0.254', 8),
      port: PORT,
      tcp: { maxConnections: 1024, backlog: 1 },
      random,
      nowUs: this.#nowUs,
    })
    // The first SYN takes the only place, and the gateway is asked for its hardware address.
    this.turn(tcp.SYN)
    this.#poll()
    this.turn(tcp.SYN)
    const { halfOpen, stats } = this.server.stack.tcp
    assert(halfOpen === 1 && stats.syncookiesSent === BATCH_MAX, 'the SYN table is full')
  }

  /** A batch of SYNs, or of ACKs of what was never sent. */
  turn(flags: number): void {
    const wire = this.#wire
    for (let n = 0; n < BATCH_MAX; n++) {
      wire.address = 0x10000000 | (random() & 0x0fffffff)
      wire.port = 1 + (random() & 0x7fff)
      wire.seq = random()
      wire.ack = flags & tcp.ACK ? random() : 0
      wire.send(flags, NOTHING, 0, 0)
    }
    this.#poll()
  }

  /** The server takes a batch; what it answers is for nobody, but for ARP. */
  #poll(): void {
    const wire = this.#wire
    wire.flush()
    this.#nowUs += POLL_US
    const start = performance.now()
    this.server.poll(this.#nowUs, 0)
    this.ms += performance.now() - start
    for (let count = wire.receive(); count > 0; count = wire.receive()) {
      for (let n = 0; n < count; n++) wire.takeArp(wire.device.rxOff[n])
    }
    wire.flush()
  }
}
