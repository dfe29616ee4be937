/**
 * The client's part of the handshake (message.ts): it says what memory and which rings there are, a
 * message for each of the server's ACKs, and is through with the server's CONNECTED.
 */
import { type Arrival, type Channel, Refusal } from './channel.ts'
import type { MemifHandle } from './handle.ts'
import * as layout from './layout.ts'
import { type Message, MODE_ETHERNET, RING_FLAG_S2M, VERSION } from './message.ts'
import { type Offer, Port } from './port.ts'
import type { Handshake, LinkSetup } from './setup.ts'

interface Step {
  readonly message: Message
  /** What goes with it. */
  readonly fds: readonly number[]
}

export class Join implements Handshake {
  readonly #setup: LinkSetup
  readonly #channel: Channel
  #offers: Offer[] = []
  #steps: Step[] = []
  #isGreeted = false

  constructor(setup: LinkSetup, channel: Channel) {
    this.#setup = setup
    this.#channel = channel
  }

  step({ message }: Arrival): readonly Offer[] | undefined {
    if (message.type === 'hello' && !this.#isGreeted) {
      this.#isGreeted = true
      this.#plan(message)
    } else if (message.type === 'connected' && this.#isGreeted && this.#steps.length === 0) {
      return this.#offers
    } else if (message.type !== 'ack' || this.#steps.length === 0) {
      throw new Refusal(`${message.type} out of turn`)
    }
    const step = this.#steps.shift()
    if (step !== undefined) this.#channel.send(step.message, ...step.fds)
    return undefined
  }

  /** Nothing: the server waits for nobody. */
  confirm(): void {}

  #plan(hello: Message & { type: 'hello' }): void {
    const { handles, id, secret, name, frameMax } = this.#setup
    const count = handles.length
    if (hello.minVersion > VERSION || hello.maxVersion < VERSION) {
      throw new Refusal('the server speaks another version of memif')
    }
    const ringMax = Math.min(hello.maxS2mRing, hello.maxM2sRing)
    if (ringMax + 1 < count || hello.maxRegion + 1 < count) {
      throw new Refusal(`the server has fewer rings or regions than our ${count} queues`)
    }
    const log2 = Math.min(hello.maxLog2RingSize, handles[0].ringSizeLog2)
    if (1 << log2 < layout.piecesOf(frameMax)) {
      throw new Refusal(`rings of ${1 << log2} cannot hold a frame`)
    }
    this.#offers = handles.map((handle, region) => ({
      rxFd: this.#channel.newEventfd(),
      txFd: this.#channel.newEventfd(),
      s2m: { region, offset: layout.S2M_OFF, log2 },
      m2s: { region, offset: layout.m2sOff(handle.ringSizeLog2), log2 },
      regions: [],
    }))
    const init = { type: 'init', version: VERSION, id, mode: MODE_ETHERNET, secret, name } as const
    this.#steps = [
      { message: init, fds: [] },
      ...handles.map((handle, index) => regionStep(handle, index)),
      ...this.#offers.map((offer, index) => ringStep(offer, index, RING_FLAG_S2M)),
      ...this.#offers.map((offer, index) => ringStep(offer, index, 0)),
      { message: { type: 'connect', ifName: name }, fds: [] },
    ]
  }
}

const regionStep = ({ port, memoryFd }: MemifHandle, index: number): Step => ({
  message: { type: 'addRegion', index, size: new Port(port).memory },
  fds: [memoryFd],
})

function ringStep({ s2m, m2s, rxFd, txFd }: Offer, index: number, flags: number): Step {
  const isOurs = flags === RING_FLAG_S2M
  const { region, offset, log2 } = isOurs ? s2m : m2s
  const place = { region, offset, log2RingSize: log2, privateHdrSize: 0 }
  return { message: { type: 'addRing', flags, index, ...place }, fds: [isOurs ? txFd : rxFd] }
}
