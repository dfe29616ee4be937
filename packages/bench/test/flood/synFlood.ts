/** SYNs in the name of half the world: the network's end that fills whatever room the ring has. */
import { tcp } from '@sandstorm/libtcpip'
import type { ClientWire } from '../../src/clientWire.ts'
import type { Random } from '../million/random.ts'

/** 16.0.0.0/4, of which no client is. */
const NET = 0x10000000
const HOSTS = 0x0fffffff
const MSS_OPTION = Uint8Array.of(2, 4, 1460 >> 8, 1460 & 0xff)
const NOTHING = new Uint8Array(0)

export class SynFlood {
  sent = 0
  readonly #wire: ClientWire
  readonly #random: Random

  constructor(wire: ClientWire, random: Random) {
    this.#wire = wire
    this.#random = random
  }

  /** Leaves no slot of the ring free. */
  fill(): void {
    const wire = this.#wire
    wire.options.set(MSS_OPTION)
    wire.optionsLen = MSS_OPTION.length
    wire.ack = 0
    wire.window = 64240
    for (let room = wire.device.txSpace(); room > 0; room--) {
      wire.address = NET | (this.#random.int32() & HOSTS)
      wire.port = 1 + this.#random.below(65535)
      wire.seq = this.#random.int32()
      wire.send(tcp.SYN, NOTHING, 0, 0)
      this.sent++
    }
    wire.flush()
  }
}
