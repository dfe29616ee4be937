/**
 * A whole server in a test: content, a link in memory, the server on one port of it and a host with
 * raw TCP peers on the other, under one virtual clock. The same test runs the same to the byte.
 */
import {
  type Device,
  FaultDevice,
  type FaultOptions,
  memoryLink,
  type Region,
  VirtualClock,
} from '@sandstorm/libnmio'
import { ipv4Address, ipv6Address } from '@sandstorm/libtcpip'
import { PART_HEAD_MAX } from '../../src/http/parts.ts'
import { askingForOwn } from '../../src/instance/ownAddresses.ts'
import { MADE_HEAD_COUNT } from '../../src/packetize/madeHeads.ts'
import { Server, type ServerOptions, type TransmitKind } from '../../src/server.ts'
import { GatherPort } from './gatherPort.ts'
import { Host } from './host.ts'
import type { Peer, PeerOptions } from './peer.ts'
import { type Answer, parseAnswers } from './response.ts'
import { makeSite, type Site } from './site.ts'

export const SERVER_ADDR = 0x0a000001 // 10.0.0.1
/** fd77::1 */
export const SERVER_ADDR6 = 'fd770000000000000000000000000001'
export const SERVER_PORT = 80

export interface WorldOptions
  extends Partial<
    Pick<
      ServerOptions,
      'tcp' | 'limits' | 'replicas' | 'cc' | 'feedPort' | 'originPaths' | 'rate' | 'accessLog'
    >
  > {
  transmit?: TransmitKind
  mtu?: number
  ringSize?: number
  faults?: FaultOptions
  /** The server has an IPv6 address as well. */
  ipv6?: boolean
  /** The server's device completes checksums and cuts super-frames; needs `gather`. */
  offloads?: boolean
  /** Leaves the server this much of the region. */
  frameBytes?: number
}

export class World {
  readonly clock: VirtualClock = new VirtualClock()
  readonly site: Site
  readonly region: Region
  readonly server: Server
  readonly host: Host
  /** Seconds since 1970 when the clock began. */
  epochSec = 784111777 // Sun, 06 Nov 1994 08:49:37 GMT
  readonly #startUs: number
  readonly #faults: FaultDevice | undefined

  constructor(files: Record<string, Uint8Array | number> | Site, options: WorldOptions = {}) {
    this.site = 'content' in files ? (files as Site) : makeSite(files as Record<string, number>)
    this.region = this.site.content.region
    // The stack's millisecond clock wraps ten seconds from here, so that every long test passes it.
    this.clock.nowUs = (2 ** 31 - 10_000) * 1000
    this.#startUs = this.clock.nowUs
    const { mtu = 1500, ringSize = 1024 } = options
    const [near, far] = memoryLink({ region: this.region, mtu, ringSize })
    this.host = new Host(far, this.clock.read, near.mac, SERVER_ADDR, SERVER_ADDR6, SERVER_PORT)
    let device: Device = near
    if (options.transmit === 'gather') {
      device = new GatherPort(near, options.offloads ?? false)
    }
    if (options.faults !== undefined) {
      this.host.dropsDamaged = options.faults.corrupt > 0
      this.#faults = new FaultDevice(device, options.faults, {
        clock: this.clock.read,
        content: this.region,
      })
      device = this.#faults
    }
    if (options.frameBytes !== undefined) {
      const others = (16 << 20) + MADE_HEAD_COUNT * PART_HEAD_MAX // request buffers, made heads
      this.region.reserve(this.region.unreservedBytes - options.frameBytes - others - 65536)
    }
    this.server = new Server({
      device,
      content: this.site.content,
      addresses: [
        ipv4Address('10.0.0.1', 8),
        ...(options.ipv6 ? [ipv6Address('fd77::1', 64)] : []),
      ],
      ...askingForOwn(false),
      port: SERVER_PORT,
      transmit: options.transmit,
      replicas: options.replicas,
      cc: options.cc,
      tcp: { maxConnections: 4096, ...options.tcp },
      limits: options.limits ?? {},
      feedPort: options.feedPort,
      rate: options.rate,
      accessLog: options.accessLog,
      originPaths: options.originPaths,
      random: lcg(),
      nowUs: this.clock.nowUs,
    })
    if (options.ipv6) this.server.stack.start()
  }

  /** One poll on each side; true if a frame moved. */
  step(): boolean {
    const { nowUs } = this.clock
    const epoch = this.epochSec + Math.floor((nowUs - this.#startUs) / 1e6)
    const before = this.server.device.stats.txFrames
    const received = this.server.poll(nowUs, epoch)
    const moved = this.host.poll()
    return moved || received > 0 || this.server.device.stats.txFrames !== before
  }

  /** Polls until nothing moves any more at this moment. */
  settle(): this {
    for (let quiet = 0, steps = 0; quiet < 3; steps++) {
      if (steps > 100_000) throw new Error('the two ends never come to rest')
      quiet = this.step() ? 0 : quiet + 1
    }
    return this
  }

  /** Lets the clock run until `done`, from one timer to the next; false if `limitMs` is over. */
  runUntil(done: () => boolean, limitMs = 600_000): boolean {
    const end = this.clock.nowUs + limitMs * 1000
    while (true) {
      this.settle()
      if (done()) return true
      if (this.clock.nowUs >= end) return false
      this.clock.nowUs = Math.min(end, Math.max(this.clock.nowUs + 1000, this.#nextUs()))
    }
  }

  /** Lets the clock run for `ms`. */
  pass(ms: number): this {
    const end = this.clock.nowUs + ms * 1000
    this.runUntil(() => this.clock.nowUs >= end, ms)
    return this
  }

  /** An open connection. */
  connect(options: Partial<PeerOptions> = {}): Peer {
    const peer = this.host.peer(options).open()
    if (!this.runUntil(() => peer.isOpen, 60_000)) throw new Error('no connection')
    return peer
  }

  /** Opens a connection, asks, and waits for the server's FIN. */
  fetch(path: string, options: Partial<PeerOptions> = {}, method = 'GET'): Answer {
    const peer = this.connect(options).send(request(path, { method, close: true }))
    if (!this.runUntil(() => peer.ended)) throw new Error(`no answer for ${path}`)
    peer.fin()
    this.settle()
    const [answer] = parseAnswers(peer.stream, [method])
    return answer
  }

  #nextUs(): number {
    const idle = this.server.idleUs()
    const server = idle < 0 ? Number.POSITIVE_INFINITY : this.clock.nowUs + idle
    const faults = this.#faults?.nextUs ?? Number.POSITIVE_INFINITY
    const next = Math.min(server, this.host.nextUs, faults)
    return next === Number.POSITIVE_INFINITY ? this.clock.nowUs + 1e6 : next
  }
}

export interface RequestOptions {
  method?: string
  close?: boolean
  fields?: string[]
}

/** The bytes of a request. */
export function request(path: string, options: RequestOptions = {}): string {
  const fields = [
    'Host: a',
    ...(options.close ? ['Connection: close'] : []),
    ...(options.fields ?? []),
  ]
  return `${options.method ?? 'GET'} ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`
}

/** Numbers that look random and never change. */
export function lcg(seed = 1): () => number {
  let x = seed | 0
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) | 0
    return x ^ (x >>> 13)
  }
}
