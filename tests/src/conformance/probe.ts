/**
 * The language of conformance cases, in the manner of packetdrill: a probe plays the peer of a
 * target, sends hand-made segments, and says which answers it expects and when. Numbers are
 * relative: `seq` of what we send and `ack` of what comes back count from the probe's ISN, the
 * others from the target's; so the same text runs against every target.
 */
import { Flow } from './flow.ts'
import {
  address,
  addressText,
  arp,
  concat,
  ETH_ARP,
  ETH_IPV4,
  ETH_IPV6,
  ethernet,
  type IpFields,
  ip,
  u32,
} from './frames.ts'
import {
  ARP_REPLY,
  ARP_REQUEST,
  arpFrame,
  icmpv6Frame,
  NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION,
  solicitation,
} from './neighbours.ts'
import { readFrame, type Seen } from './seen.ts'
import type { FlowOptions, Open } from './segment.ts'
import type { Target } from './target.ts'

/** A case found something else than it expected; the message holds what went over the wire. */
export class Mismatch extends Error {}

/** Frames kept for whoever may ask for them; floods bring more. */
const INBOX_MAX = 4000
/** Lines of the transcript that a failure shows. */
const LINES_SHOWN = 40
/** How long a target may take to answer ARP. */
const INTRODUCTION_MS = 1000

export class Probe {
  readonly target: Target
  /** False: requests for the peer's hardware address stay unanswered. */
  answersNeighbours = true
  /** What was observed and is compared between targets, by name. */
  readonly facts: Record<string, unknown> = {}
  /** Everything sent and received, for people. */
  readonly transcript: string[] = []
  readonly #inbox: Seen[] = []
  readonly #flows: Flow[] = []
  readonly #startMs: number
  #random: number
  #ports: number

  /** `seed` makes ports and sequence numbers: the same ones whenever a case is run. */
  constructor(target: Target, seed: number) {
    this.target = target
    this.#random = seed
    this.#ports = 20_000 + (this.random() % 20_000)
    this.#startMs = target.nowMs()
  }

  get nowMs(): number {
    return this.target.nowMs()
  }

  /** The next of a sequence of numbers from 0 to 2^32 - 1 (a 32-bit Weyl sequence, mixed). */
  random(): number {
    this.#random = (this.#random + 0x9e3779b9) | 0
    const mixed = Math.imul(this.#random ^ (this.#random >>> 16), 0x21f0aaad)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }

  /** Notes what was observed; targets that observe different things must be explained. */
  fact(name: string, value: unknown): void {
    this.facts[name] = value
  }

  /** A connection that is yet to be opened, from a port not used before. */
  flow(options: FlowOptions = {}): Flow {
    const flow = new Flow(this, options.port ?? this.#ports++, options)
    this.#flows.push(flow)
    return flow
  }

  /** A flow that is not followed: for floods. With `keep` it is, and forgets the one before. */
  stranger(options: FlowOptions & { keep?: boolean }): Flow {
    const flow = new Flow(this, options.port ?? 0, options)
    if (options.keep) {
      this.#flows.length = 0
      this.#flows.push(flow)
    }
    return flow
  }

  /** An open connection. */
  async open(options: Open & FlowOptions = {}): Promise<Flow> {
    const flow = this.flow(options)
    await flow.open(options)
    return flow
  }

  /** Makes the peer's hardware address known to the target, as a first exchange would. */
  async introduce(ipv6 = false): Promise<void> {
    this.target.send(arpFrame(this.target, {}))
    await this.take(seen => seen.arp !== undefined, INTRODUCTION_MS)
    // An interface that has just been made may not speak IPv6 at once.
    for (let i = 0; ipv6 && i < 20; i++) {
      this.target.send(solicitation(this.target, {}))
      const answer = await this.take(seen => seen.icmp?.type === NEIGHBOUR_ADVERTISEMENT, 100)
      if (answer !== undefined) break
    }
  }

  /** Puts raw frames on the wire. */
  sendFrames(...frames: Uint8Array[]): void {
    for (let bytes = this.target.poll(); bytes !== undefined; bytes = this.target.poll()) {
      this.#take(bytes)
    }
    for (const frame of frames) this.log('>', readFrame(frame, this.nowMs))
    this.target.send(...frames)
  }

  /** An IP packet to the target in an Ethernet frame of the peer. */
  packet(payload: Uint8Array, fields: Partial<IpFields> & { protocol: number }): Uint8Array {
    const six = fields.src?.length === 16 || fields.dst?.length === 16
    const { self, peer } = this.target
    const route = {
      src: address(six ? peer.ipv6 : peer.ipv4),
      dst: address(six ? self.ipv6 : self.ipv4),
    }
    const packet = ip({ ...route, ...fields }, payload)
    return ethernet(self.mac, peer.mac, six ? ETH_IPV6 : ETH_IPV4, packet)
  }

  /** The first frame for which `wanted` holds, waiting at most `ms` for it; others stay. */
  async take(wanted: (seen: Seen) => boolean, ms: number): Promise<Seen | undefined> {
    const deadline = this.nowMs + ms
    for (;;) {
      const index = this.#inbox.findIndex(wanted)
      if (index >= 0) return this.#inbox.splice(index, 1)[0]
      const left = deadline - this.nowMs
      if (left < 0 || !(await this.#receive(left))) return undefined
    }
  }

  /** Lets time pass; what comes meanwhile is kept. */
  async pass(ms: number): Promise<void> {
    const deadline = this.nowMs + ms
    while (this.nowMs < deadline) await this.#receive(deadline - this.nowMs)
  }

  async #receive(ms: number): Promise<boolean> {
    const bytes = await this.target.receive(ms)
    if (bytes === undefined) return false
    this.#take(bytes)
    return true
  }

  /** Looks at a frame of the target, and keeps it for whoever waits for one. */
  #take(bytes: Uint8Array): void {
    const seen = readFrame(bytes, this.nowMs)
    if (this.#answer(seen)) return
    this.log('<', seen)
    if (seen.faults.length > 0) this.fail(seen.faults.join(', '))
    for (const flow of this.#flows) if (flow.owns(seen)) flow.onSegment(seen)
    if (this.#inbox.push(seen) > INBOX_MAX) this.#inbox.shift()
  }

  /** Answers a question for the peer's hardware address; true: nobody else need see it. */
  #answer(seen: Seen): boolean {
    const { self, peer } = this.target
    if (!this.answersNeighbours) return false
    if (seen.arp?.operation === ARP_REQUEST) {
      if (addressText(seen.arp.targetIp) === self.ipv4) return false
      const reply = {
        operation: ARP_REPLY,
        senderMac: peer.mac,
        senderIp: seen.arp.targetIp,
        targetMac: seen.arp.senderMac,
        targetIp: seen.arp.senderIp,
      }
      this.target.send(ethernet(self.mac, peer.mac, ETH_ARP, arp(reply)))
      return true
    }
    if (seen.icmp?.type === NEIGHBOUR_SOLICITATION && seen.ip?.version === 6) {
      const asked = seen.icmp.rest.subarray(4, 20)
      if (addressText(asked) !== peer.ipv6 || seen.ip.src === '::') return false
      const rest = concat(u32(0x60000000), asked, Uint8Array.of(2, 1), peer.mac)
      const fields = { src: asked, dst: address(seen.ip.src), ttl: 255 }
      this.target.send(icmpv6Frame(this.target, NEIGHBOUR_ADVERTISEMENT, 0, rest, fields))
      return true
    }
    return false
  }

  /** Writes a line of the transcript. */
  log(direction: '<' | '>', seen: Seen): void {
    const at = `${(seen.atMs - this.#startMs).toFixed(0).padStart(6)} ${direction}`
    const flow = this.#flows.find(flow => flow.owns(seen) || flow.sends(seen))
    this.transcript.push(`${at} ${flow === undefined ? plainLine(seen) : flow.line(seen)}`)
  }

  /** Ends the case: the target did something else. */
  fail(what: string): never {
    throw new Mismatch(`${what}\n  ${this.transcript.slice(-LINES_SHOWN).join('\n  ')}`)
  }

  check(condition: boolean, what: string): asserts condition {
    if (!condition) this.fail(what)
  }

  equal(actual: unknown, expected: unknown, what: string): void {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== b) this.fail(`${what}: ${a} instead of ${b}`)
  }
}

function plainLine(seen: Seen): string {
  if (seen.arp !== undefined) {
    const { operation, senderIp, targetIp } = seen.arp
    return `ARP ${operation} from ${addressText(senderIp)} for ${addressText(targetIp)}`
  }
  if (seen.ip === undefined) return `frame of type 0x${seen.type.toString(16)}`
  const { src, dst } = seen.ip
  if (seen.icmp !== undefined) return `${src} > ${dst} ICMP ${seen.icmp.type}/${seen.icmp.code}`
  if (seen.tcp !== undefined) return `${src} > ${dst} TCP ${seen.tcp.srcPort} ${seen.tcp.flags}`
  return `${src} > ${dst} protocol ${seen.ip.protocol}`
}
