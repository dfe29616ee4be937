/**
 * The server's part of the handshake (message.ts): it greets, and acknowledges what the client says
 * of its memory and rings, as far as that can be believed. All of it is checked here but what only
 * whoever has the memory mapped can see.
 */
import { eventfdProblem, memoryProblem } from '../sys/memfd.ts'
import { type Arrival, type Channel, Refusal } from './channel.ts'
import * as layout from './layout.ts'
import {
  type AddRegion,
  type AddRing,
  type Init,
  MODE_ETHERNET,
  RING_FLAG_S2M,
  VERSION,
} from './message.ts'
import { type Offer, type PeerRegion, REGION_MAX, type RingPlace } from './port.ts'
import { windowBytes } from './server.ts'
import type { Handshake, LinkSetup } from './setup.ts'

/** A ring that the client has added. */
interface Added extends RingPlace {
  readonly fd: number
}

export class Serve implements Handshake {
  readonly #setup: LinkSetup
  readonly #channel: Channel
  #isKnown = false
  readonly #regions: PeerRegion[] = []
  readonly #s2m: Added[] = []
  readonly #m2s: Added[] = []

  constructor(setup: LinkSetup, channel: Channel) {
    this.#setup = setup
    this.#channel = channel
    const ringMax = setup.handles.length - 1
    channel.send({
      type: 'hello',
      name: setup.name,
      minVersion: VERSION,
      maxVersion: VERSION,
      maxRegion: REGION_MAX - 1,
      maxM2sRing: ringMax,
      maxS2mRing: ringMax,
      maxLog2RingSize: layout.RING_LOG2_MAX,
    })
  }

  step({ message, fd }: Arrival): readonly Offer[] | undefined {
    if ((message.type === 'init') === this.#isKnown)
      throw new Refusal(`${message.type} out of turn`)
    if (message.type === 'init') this.#checkInit(message)
    else if (message.type === 'addRegion') this.#addRegion(message, fd)
    else if (message.type === 'addRing') this.#addRing(message, fd)
    else if (message.type === 'connect') return this.#offers()
    else throw new Refusal(`${message.type} out of turn`)
    this.#channel.send({ type: 'ack' })
    return undefined
  }

  /** The devices have begun. */
  confirm(): void {
    this.#channel.send({ type: 'connected', ifName: this.#setup.name })
  }

  #checkInit({ version, id, mode, secret }: Init): void {
    if (version !== VERSION) throw new Refusal('the client speaks another version of memif')
    if (mode !== MODE_ETHERNET) throw new Refusal('the client wants another mode than Ethernet')
    if (id !== this.#setup.id) throw new Refusal(`the client asks for id ${id}`)
    if (secret !== this.#setup.secret) throw new Refusal('the client does not know the secret')
    this.#isKnown = true
  }

  #addRegion({ index, size }: AddRegion, fd: number): void {
    const regions = this.#regions
    if (index !== regions.length || index >= REGION_MAX)
      throw new Refusal(`region ${index} out of turn`)
    const { peerBytes } = this.#setup.handles[0]
    if (
      size === 0 ||
      size > peerBytes ||
      windowBytes([...regions, { fd, bytes: size }]) > peerBytes
    ) {
      throw new Refusal(
        `its memory (region ${index}: ${size} bytes) is more than ${peerBytes} bytes`,
      )
    }
    if (fd < 0) throw new Refusal(`region ${index} comes without memory`)
    const problem = memoryProblem(fd, size)
    if (problem !== '') throw new Refusal(`the memory of region ${index} ${problem}`)
    regions.push({ fd, bytes: size })
  }

  #addRing({ flags, index, region, offset, log2RingSize: log2 }: AddRing, fd: number): void {
    const isS2m = (flags & RING_FLAG_S2M) !== 0
    const rings = isS2m ? this.#s2m : this.#m2s
    const what = `ring ${index} to the ${isS2m ? 'server' : 'client'}`
    if (index !== rings.length || index >= this.#setup.handles.length) {
      throw new Refusal(`${what} out of turn`)
    }
    if (log2 < 1 || log2 > layout.RING_LOG2_MAX) throw new Refusal(`${what} is of size 2^${log2}`)
    const bytes = this.#regions[region]?.bytes ?? 0
    if (offset % 4 !== 0 || offset + layout.ringBytes(log2) > bytes) {
      throw new Refusal(`${what} does not lie in region ${region}`)
    }
    if (fd < 0) throw new Refusal(`${what} comes without an eventfd`)
    const problem = eventfdProblem(fd)
    if (problem !== '') throw new Refusal(`the eventfd of ${what} ${problem}`)
    rings.push({ region, offset, log2, fd })
  }

  #offers(): Offer[] {
    const count = this.#setup.handles.length
    if (this.#s2m.length !== count || this.#m2s.length !== count) {
      const rings = `${this.#s2m.length} and ${this.#m2s.length} rings`
      throw new Refusal(`it has ${rings} for our ${count} queue${count > 1 ? 's' : ''}`)
    }
    return this.#s2m.map((s2m, i) => {
      const m2s = this.#m2s[i]
      return { rxFd: s2m.fd, txFd: m2s.fd, s2m, m2s, regions: this.#regions }
    })
  }
}
