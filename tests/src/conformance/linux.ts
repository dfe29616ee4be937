/**
 * The Linux kernel as a target: the probe holds the cable of a TAP whose other end is the kernel's,
 * and a `node:net` server in this same process is the application. To be used inside a network
 * namespace (linuxChild.ts). Time is real.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  closeHandle,
  FramePool,
  NO_FRAME,
  openTap,
  Region,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
} from '@sandstorm/libnmio'
import { mac } from './frames.ts'
import {
  type AppConnection,
  type End,
  OPEN_PORT,
  patternByte,
  type Setup,
  type Target,
} from './target.ts'

const PATIENCE_MS = 300
const FRAMES = 512
const FRAME_SHIFT = 11

/** Made once: some cases write megabytes, and others must not wait for that. */
const PATTERN = Uint8Array.from({ length: 8_000_000 }, (_, i) => patternByte(i))

class LinuxConnection implements AppConnection {
  readonly events: string[] = []
  readonly #socket: Socket
  readonly #received: Buffer[] = []
  #written = 0

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', data => this.#received.push(data))
    socket.on('end', () => this.events.push('fin'))
    socket.on('error', error => this.events.push((error as NodeJS.ErrnoException).code ?? 'error'))
    socket.on('close', () => this.events.push('closed'))
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#received)
  }

  write(bytes: number): void {
    const from = this.#written
    this.#written += bytes
    this.#socket.write(PATTERN.subarray(from, from + bytes))
  }

  close(): void {
    this.#socket.end()
  }

  abort(): void {
    this.#socket.resetAndDestroy()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }
}

export class LinuxTarget implements Target {
  readonly kind = 'linux'
  readonly self: End
  readonly peer: End
  readonly mtu: number
  readonly #handle: TapHandle
  readonly #device: TapDevice
  readonly #region: Region
  readonly #frames: FramePool
  readonly #servers: Server[] = []
  readonly #byPort = new Map<number, LinuxConnection>()
  readonly #inbox: Uint8Array[] = []
  readonly #sockets = new Set<Socket>()

  /** Makes the TAP `n` of this namespace; its subnet is 10.77.n.0/24. */
  static async make(n: number, setup: Setup): Promise<LinuxTarget> {
    const target = new LinuxTarget(n, setup)
    const more = (setup.more ?? []).map(last => `10.77.${n}.${last}`)
    for (const host of [target.self.ipv4, target.self.ipv6, ...more]) await target.#listen(host)
    return target
  }

  private constructor(n: number, setup: Setup) {
    const name = `tap${n}`
    const self = `10.77.${n}.2`
    this.mtu = setup.mtu ?? 1500
    this.#handle = openTap({ name, mtu: this.mtu, hostAddresses: [`${self}/24`], offloads: false })
    this.#region = new Region((FRAMES << FRAME_SHIFT) + tapRegionBytes(this.#handle) + 65536)
    this.#device = new TapDevice(this.#handle, this.#region, this.#region)
    this.#frames = new FramePool(this.#region, FRAMES, FRAME_SHIFT)
    const six = `fd77:${n.toString(16)}::`
    ip('address', 'add', `${six}2/64`, 'dev', name, 'nodad')
    // A namespace may not choose cubic for all, but for a route (ip-route(8), congctl).
    const route = [`10.77.${n}.0/24`, 'dev', name, 'scope', 'link', 'src', self]
    ip('route', 'change', ...route, 'proto', 'kernel', 'congctl', 'cubic')
    for (const last of setup.more ?? []) {
      ip('address', 'add', `10.77.${n}.${last}/24`, 'dev', name)
    }
    const text = readFileSync(`/sys/class/net/${name}/address`, 'utf8').trim()
    this.self = { mac: mac(text), ipv4: self, ipv6: `${six}2` }
    this.peer = { mac: this.#handle.mac, ipv4: `10.77.${n}.1`, ipv6: `${six}1` }
  }

  async #listen(host: string): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, socket => {
      this.#sockets.add(socket)
      this.#byPort.set(socket.remotePort ?? 0, new LinuxConnection(socket))
    })
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port: OPEN_PORT, backlog: 4096 }, resolve)
    })
  }

  nowMs(): number {
    return performance.now()
  }

  send(...frames: Uint8Array[]): void {
    for (const bytes of frames) {
      const done = this.#device.reclaim()
      for (let i = 0; i < done; i++) this.#frames.complete(this.#device.doneOff[i])
      const frame = this.#frames.alloc()
      if (frame === NO_FRAME) throw new Error('the peer has no frame left')
      const off = this.#frames.payloadOff(frame)
      this.#region.bytes.set(bytes, off)
      this.#frames.sent(frame)
      this.#device.push(off, bytes.length, 0)
    }
    this.#device.flush()
  }

  async receive(ms: number): Promise<Uint8Array | undefined> {
    const started = this.nowMs()
    const deadline = started + ms
    for (;;) {
      const frame = this.poll()
      if (frame !== undefined) return frame
      const left = deadline - this.nowMs()
      if (left <= 0) return undefined
      // Who waits for long need not look so often.
      await sleep(Math.min(this.nowMs() - started < PATIENCE_MS ? 1 : 5, left))
    }
  }

  poll(): Uint8Array | undefined {
    for (let n = this.#device.rx(); n > 0; n = this.#device.rx()) {
      for (let i = 0; i < n; i++) {
        const off = this.#device.rxOff[i]
        this.#inbox.push(this.#region.bytes.slice(off, off + this.#device.rxLen[i]))
      }
    }
    return this.#inbox.shift()
  }

  accepted(peerPort: number): AppConnection | undefined {
    return this.#byPort.get(peerPort)
  }

  openConnections(): number {
    return -1
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#device.close()
    closeHandle(this.#handle)
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}
