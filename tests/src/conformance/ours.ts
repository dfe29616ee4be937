/**
 * Our stack as a target: libtcpip on a link in memory, under a clock that stands still unless a
 * case lets time pass. Two minutes of TIME-WAIT take no time, and every run is the same.
 */
import assert from 'node:assert/strict'
import { FramePool, type MemoryPort, memoryLink, Region } from '@sandstorm/libnmio'
import { Cubic, ipv4Address, ipv6Address, Stack } from '@sandstorm/libtcpip'
import { OurApp } from './ourApp.ts'
import { type AppConnection, type End, OPEN_PORT, type Setup, type Target } from './target.ts'

const FRAME_SHIFT = 11
const OUR_FRAMES = 1024
const PEER_FRAMES = 512
/** A stack that wants to run again at once, so often, lets no time pass. */
const TURNS_MAX = 5_000_000

export class OurTarget implements Target {
  readonly kind = 'ours'
  readonly self: End
  readonly peer: End
  readonly mtu: number
  readonly stack: Stack
  readonly #region: Region
  readonly #wire: MemoryPort
  readonly #peerFrames: FramePool
  readonly #app: OurApp
  readonly #inbox: Uint8Array[] = []
  #nowUs = 1_000_000_000

  constructor(setup: Setup = {}, seed = 1) {
    this.mtu = setup.mtu ?? 1500
    const frames = OUR_FRAMES + PEER_FRAMES
    this.#region = new Region((frames << FRAME_SHIFT) + 65536)
    const [device, wire] = memoryLink({ region: this.#region, mtu: this.mtu })
    this.#wire = wire
    const pool = new FramePool(this.#region, OUR_FRAMES, FRAME_SHIFT)
    this.#peerFrames = new FramePool(this.#region, PEER_FRAMES, FRAME_SHIFT)
    const receiveBuffer = setup.receiveBuffer ?? 65535
    this.#app = new OurApp(receiveBuffer)
    this.self = { mac: device.mac, ipv4: '10.77.0.2', ipv6: 'fd77::2' }
    this.peer = { mac: wire.mac, ipv4: '10.77.0.1', ipv6: 'fd77::1' }
    let key = seed
    this.stack = new Stack({
      device,
      frames: pool,
      addresses: [
        ...[2, ...(setup.more ?? [])].map(host => ipv4Address(`10.77.0.${host}`, 24)),
        ...(setup.ipv6 ? [ipv6Address('fd77::2', 64)] : []),
      ],
      app: this.#app,
      congestion: new Cubic(),
      tcp: {
        maxConnections: 4096,
        timeWaitEntries: 1024,
        receiveWindow: receiveBuffer,
        ...setup.tcp,
      },
      random: () => {
        key = (Math.imul(key, 0x915f77f5) + 0x9e3779b9) | 0
        return key
      },
      nowUs: this.#nowUs,
    })
    this.#app.tcp = this.stack.tcp
    this.#app.run = () => this.#run()
    this.stack.tcp.listen(OPEN_PORT)
    if (setup.ipv6) this.#startIpv6()
  }

  /** Its addresses can be used after a second; what it says meanwhile belongs to no case. */
  #startIpv6(): void {
    this.stack.start()
    for (let step = 0; step < 15; step++) {
      this.#run()
      this.#nowUs += 100_000
    }
    this.#inbox.length = 0
  }

  nowMs(): number {
    return this.#nowUs / 1000
  }

  send(...frames: Uint8Array[]): void {
    for (const bytes of frames) {
      const done = this.#wire.reclaim()
      for (let i = 0; i < done; i++) this.#peerFrames.complete(this.#wire.doneOff[i])
      const frame = this.#peerFrames.alloc()
      assert.ok(frame >= 0, 'the peer has frames')
      const off = this.#peerFrames.payloadOff(frame)
      this.#region.bytes.set(bytes, off)
      this.#peerFrames.sent(frame)
      this.#wire.push(off, bytes.length, 0)
    }
    this.#wire.flush()
    this.#run()
  }

  async receive(ms: number): Promise<Uint8Array | undefined> {
    const untilUs = this.#nowUs + ms * 1000
    for (let turn = 0; this.#inbox.length === 0; turn++) {
      assert.ok(turn < TURNS_MAX, 'the stack lets time pass')
      const idleUs = this.stack.idleUs()
      if (idleUs < 0 || this.#nowUs + idleUs > untilUs) break
      // A deadline that is due and does not go away would stop the clock.
      this.#nowUs += idleUs === 0 && turn > 0 ? 1000 : idleUs
      if (this.#nowUs > untilUs) break
      this.#run()
    }
    if (this.#inbox.length === 0) {
      this.#nowUs = untilUs
      this.#run()
    }
    return this.#inbox.shift()
  }

  poll(): Uint8Array | undefined {
    return this.#inbox.shift()
  }

  accepted(peerPort: number): AppConnection | undefined {
    return this.#app.byPort.get(peerPort)
  }

  openConnections(): number {
    return this.stack.tcp.table.count
  }

  close(): void {}

  #run(): void {
    while (this.stack.poll(this.#nowUs) > 0) this.#drain()
    this.#drain()
  }

  #drain(): void {
    for (let n = this.#wire.rx(); n > 0; n = this.#wire.rx()) {
      for (let i = 0; i < n; i++) {
        const off = this.#wire.rxOff[i]
        this.#inbox.push(this.#region.bytes.slice(off, off + this.#wire.rxLen[i]))
      }
    }
  }
}
