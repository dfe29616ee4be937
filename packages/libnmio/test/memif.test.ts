/**
 * memif beyond the contract: our client and our server, in one thread, two, and two processes.
 * Peers that break the rules: memifHostile.test.ts; peers that are not ours: memifTestpmd.test.ts.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { afterEach, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import {
  closeHandles,
  deviceName,
  koffiProblem,
  MemifDevice,
  type MemifOptions,
  type MemifRole,
  makeDevice,
  memifRegionBytes,
  OFFLOAD_NONE,
  openMemifQueues,
  Region,
  startMemifTimer,
  wakeDevice,
} from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { testFrame } from './device.suite.ts'
import { assertNoGarbage } from './garbage.ts'
import { type End, meet, newSocket, openEnd, pump, turn } from './memifTest.ts'
import type { EchoThread } from './memifWorker.ts'
import { unless } from './privileges.ts'

const { skip } = unless(koffiProblem())

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
})
const closing = <T extends { close(): void }>(what: T): T => {
  closers.push(() => what.close())
  return what
}

const ROLES = ['client', 'server'] as const
const other = (role: MemifRole): MemifRole => (role === 'client' ? 'server' : 'client')
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** A pair, the end in `role` first. */
function pair(role: MemifRole, options: Partial<MemifOptions> = {}, bytes?: number): [End, End] {
  const [server, client] = meet(options, bytes)
  closers.push(() => {
    client.close()
    server.close()
  })
  return role === 'server' ? [server, client] : [client, server]
}

/** Frames in a ring at the end of a region, and what is to be sent and to come, in order. */
class Flow {
  readonly end: End
  readonly #len: (seq: number) => number
  readonly #base: number
  readonly #cell: number
  sent = 0
  done = 0
  got = 0

  constructor(end: End, len: (seq: number) => number) {
    this.end = end
    this.#len = len
    this.#cell = 2 ** Math.ceil(Math.log2(end.device.mtu + 14))
    this.#base = end.frames
  }

  /** Sends up to frame `count`, as far as there is space and fewer than 128 are under way. */
  send(count: number): void {
    const { device } = this.end
    while (this.sent < count && this.sent - this.done < 128 && device.txSpace() > 0) {
      const off = this.#base + (this.sent % 128) * this.#cell
      const len = this.#len(this.sent)
      device.region.bytes.set(testFrame(this.sent++, len), off)
      device.push(off, len, OFFLOAD_NONE)
    }
    device.flush()
  }

  /** Takes completions, which come in order. */
  reclaim(): void {
    const { device } = this.end
    const count = device.reclaim()
    for (let i = 0; i < count; i++) {
      assert.equal(device.doneOff[i], this.#base + (this.done++ % 128) * this.#cell)
    }
  }

  /** Takes what comes: frames of the other end's flow, in order. */
  receive(): number {
    const { device } = this.end
    const count = device.rx()
    for (let i = 0; i < count; i++, this.got++) {
      const off = device.rxOff[i]
      const frame = device.region.bytes.subarray(off, off + device.rxLen[i])
      assert.ok(Buffer.from(frame).equals(testFrame(this.got, this.#len(this.got))), `${this.got}`)
    }
    return count
  }

  /** Does all that until `count` frames went out and came back. */
  async echo(count: number): Promise<void> {
    const [sent, got] = [this.sent + count, this.got + count]
    await pump([this.end], () => {
      this.reclaim()
      this.send(Math.min(sent, this.got + 128)) // fewer than the far end can hold
      this.receive()
      return this.got >= got
    })
    this.reclaim()
  }
}

/** Both send `count` frames to each other. */
function exchange(a: Flow, b: Flow, count: number): void {
  for (let idle = 0; idle < 100 && (a.got < count || b.got < count); idle++) {
    for (const flow of [a, b]) {
      flow.send(count)
      if (flow.receive() > 0) idle = 0
      flow.reclaim()
    }
  }
  assert.deepEqual([a.got, b.got], [count, count])
  for (const flow of [a, b]) flow.reclaim()
  assert.deepEqual([a.done, b.done], [count, count])
}

describe('two ends of memif', { skip }, () => {
  test('exchange more frames than an index counts', () => {
    const [a, b] = pair('client')
    const len = (seq: number): number => 60 + (seq % 30)
    exchange(new Flow(a, len), new Flow(b, len), 150_000)
    for (const { device } of [a, b]) {
      assert.equal(device.stats.rxFrames, 150_000)
      assert.equal(device.stats.txFrames, 150_000)
      assert.equal(device.stats.rxDropped + device.stats.txDropped, 0)
    }
  })

  test('exchange frames through the smallest rings', () => {
    const [a, b] = pair('client', { ringSizeLog2: 6 })
    const len = (seq: number): number => 60 + ((seq * 37) % 1455)
    exchange(new Flow(a, len), new Flow(b, len), 20_000)
  })

  for (const mtu of [2034, 2035, 9000, 65535]) {
    test(`exchange frames of an MTU of ${mtu}, in as many descriptors as it takes`, () => {
      const [a, b] = pair('client', { mtu, ringSizeLog2: 7, peerBytes: 32 << 20 }, 24 << 20)
      const len = (seq: number): number =>
        seq % 3 === 0 ? mtu + 14 : 60 + ((seq * 977) % (mtu - 60))
      exchange(new Flow(a, len), new Flow(b, len), 500)
    })
  }

  for (const role of ROLES) {
    test(`a full ring takes no more, loses nothing, and goes on: ${role}`, () => {
      const [near, far] = pair(role, { ringSizeLog2: 6 })
      const { device } = near
      const base = near.frames
      const space = device.txSpace()
      for (let seq = 0; seq < space; seq++) {
        device.region.bytes.set(testFrame(seq, 100), base + seq * 128)
        device.push(base + seq * 128, 100, OFFLOAD_NONE)
      }
      assert.equal(device.txSpace(), 0)
      assert.throws(() => device.push(base, 100, OFFLOAD_NONE), /the ring has space/)
      const flow = new Flow(far, () => 100)
      let done = 0
      for (let i = 0; i < 200 && done < space; i++) {
        device.flush()
        const count = device.reclaim()
        for (let k = 0; k < count; k++) assert.equal(device.doneOff[k], base + done++ * 128)
        assert.ok(done - flow.got <= 64, 'no more than the ring holds are out')
        flow.receive()
      }
      assert.deepEqual([done, flow.got, device.txSpace()], [space, space, space])
    })

    test(`without a peer what is pushed is dropped and counted: ${role}`, () => {
      const { device, link, frames: base } = closing(openEnd({ socket: newSocket(), role }))
      assert.equal(device.linkMtu(), 0)
      for (let turns = 0; turns < 50; turns++) {
        link.poll(performance.now())
        for (let i = 0; i < 100; i++) device.push(base + i * 2048, 60, OFFLOAD_NONE)
        device.flush()
        assert.equal(device.reclaim(), 100)
        assert.equal(device.doneOff[99], base + 99 * 2048)
        assert.equal(device.rx(), 0)
      }
      assert.equal(device.stats.txDropped, 5000)
      assert.equal(device.stats.txFrames, 0)
      assert.equal(device.down, '')
      device.wait(1000)
    })

    test(`frames come back in order when the peer goes, and the next is found: ${role}`, async () => {
      const socket = newSocket()
      const near = closing(openEnd({ socket, role }))
      for (let round = 0; round < 3; round++) {
        const far = closing(openEnd({ socket, role: other(role) }))
        await pump([near, far], () => near.link.isUp && far.link.isUp)
        assert.equal(near.device.linkMtu(), near.device.mtu)
        const len = (): number => 200
        const [a, b] = [new Flow(near, len), new Flow(far, len)]
        exchange(a, b, 500)
        a.send(600) // under way, and nobody takes them
        far.close()
        await pump([near], () => !near.device.isOn)
        a.reclaim()
        assert.equal(a.done, 600)
        assert.match(near.lines.pop() ?? '', /the peer (has gone|disconnects: closed)/)
        assert.deepEqual(near.lines, [])
      }
    })

    test(`a packet costs no garbage, sent or received: ${role}`, async () => {
      const [near, far] = pair(role)
      const base = near.frames
      for (let k = 0; k < 16; k++) near.device.region.bytes.set(testFrame(k, 100), base + k * 2048)
      let pushed = 0
      await assertNoGarbage(() => {
        for (let i = 0; i < 1250; i++) {
          const count = Math.min(16, near.device.txSpace())
          for (let k = 0; k < count; k++) near.device.push(base + k * 2048, 100, OFFLOAD_NONE)
          pushed += count
          near.device.flush()
          far.device.wait(0)
          while (far.device.rx() > 0);
          while (near.device.reclaim() > 0);
        }
      })
      assert.equal(far.device.stats.rxFrames, pushed)
    })

    test(`the device reserves what it says, and gives its pages back: ${role}`, () => {
      const { handles, link } = openMemifQueues({ socket: newSocket(), role, peerBytes: 1 << 20 })
      closers.push(() => {
        link.close()
        closeHandles(handles)
      })
      assert.match(deviceName(handles[0]), /^memif:.*\.sock$/)
      const bytes = memifRegionBytes(handles[0])
      const region = new Region(bytes, 0, bytes)
      const device = makeDevice(handles[0], region, region)
      assert.ok(region.unreservedBytes < 3 * libc().pageSize(), `${region.unreservedBytes} left`)
      assert.equal(device.caps.zeroCopy, role === 'client')
      device.close()
      assert.match(device.down, /is closed$/)
      region.bytes.fill(0xee)
    })
  }

  for (const role of ROLES)
    test(`a device that is closed breaks no rule, whatever has gone: ${role}`, async () => {
      const [near, far] = pair(role)
      const [one, two] = [new Flow(near, () => 100), new Flow(far, () => 100)]
      for (let turns = 0; one.got < 300 || two.got < 300; turns++) {
        assert.ok(turns < 10_000, `${one.got} and ${two.got} frames`)
        for (const flow of [one, two]) {
          flow.send(300)
          flow.receive()
          flow.reclaim()
        }
      }
      near.device.close()
      assert.equal(far.device.rx(), 0)
      far.device.push(far.frames, 100, OFFLOAD_NONE)
      far.device.flush()
      assert.equal(far.device.isOn, true, 'until its link hears of it')
      await pump([near, far], () => far.lines.length > 0)
      assert.match(far.lines.join(), /the peer disconnects: our device is closed$/)
    })

  test('a frame outside packet memory is never given to a peer', () => {
    const { device } = closing(openEnd({ socket: newSocket() }))
    assert.throws(() => device.push(0, 100, OFFLOAD_NONE), /packet memory/)
    assert.throws(() => device.push(device.rxOff[0], 100, OFFLOAD_NONE), /packet memory/)
    assert.throws(() => device.push(device.region.end - 50, 100, OFFLOAD_NONE), /packet memory/)
    assert.throws(() => device.push(device.region.end - 4096, 1519, OFFLOAD_NONE), /fits/)
    assert.throws(() => device.gather(), /in one piece/)
  })

  test('several queues are as many rings, regions and devices', async () => {
    const socket = newSocket()
    const all = ROLES.map(role => {
      const { handles, link } = openMemifQueues({ socket, role, peerBytes: 16 << 20 }, 3)
      const devices = handles.map(handle => {
        const region = new Region(memifRegionBytes(handle) + (1 << 20))
        return new MemifDevice(structuredClone(handle), region)
      })
      closers.push(() => {
        for (const device of devices) device.close()
        link.close()
        closeHandles(handles)
      })
      return { link, devices }
    })
    const ends = all.map(({ link, devices }) =>
      devices.map(device => {
        const frames = device.region.reserveFrames(1 << 19)
        return { device, link, frames, lines: [], close() {} }
      }),
    )
    const [clients, servers] = ends
    await pump(ends.flat(), () => all.every(({ link }) => link.isUp))
    for (const [i, client] of clients.entries()) {
      const len = (seq: number): number => 60 + 10 * i + (seq % 10)
      exchange(new Flow(client, len), new Flow(servers[i], len), 2000)
    }
  })

  test('a peer with fewer queues is refused', () => {
    const socket = newSocket()
    const { handles, link } = openMemifQueues({ socket, role: 'server' }, 2)
    const devices = handles.map(h => new MemifDevice(h, new Region(memifRegionBytes(h) + 65536)))
    const lines: string[] = []
    link.onWarning = line => lines.push(line)
    const client = closing(openEnd({ socket }))
    closers.push(() => {
      for (const device of devices) device.close()
      link.close()
      closeHandles(handles)
    })
    for (let i = 0; i < 100 && lines.length === 0; i++) {
      link.poll(performance.now())
      turn([client])
    }
    assert.match(lines.join(), /it has 1 and 1 rings for our 2 queues$/)
    turn([client])
    assert.match(client.lines.join(), /the peer disconnects: it has 1 and 1 rings/)
  })

  test('what cannot be opened is refused with what to do', () => {
    const socket = newSocket()
    const bad = (options: Partial<MemifOptions>, line: RegExp, queues = 1): void =>
      void assert.throws(() => openMemifQueues({ socket, ...options }, queues), line)
    bad({ mtu: 67 }, /MTU 67.*give 68 to 65535/)
    bad({ mtu: 65536 }, /MTU 65536/)
    bad({ id: -1 }, /id -1/)
    bad({ ringSizeLog2: 15 }, /ring size 2\^15.*give 6 to 14/)
    bad({ secret: 'x'.repeat(24) }, /secret.*23 ASCII characters/)
    bad({ secret: 'ä' }, /secret/)
    bad({ name: 'x'.repeat(32) }, /name/)
    bad({ mac: new Uint8Array(5) }, /six bytes/)
    bad({ peerBytes: 2 ** 31 }, /2147483648 bytes/)
    bad({}, /65 queues/, 65)
    bad({ role: 'server', socket: '/nowhere/x.sock' }, /bind .nowhere.*ENOENT/)
    closing(openEnd({ socket, role: 'server' }))
    bad({ role: 'server' }, /EADDRINUSE.*another server listens there/)
  })

  test('the socket goes with the server, and the server with its link', () => {
    const socket = newSocket()
    const end = openEnd({ socket, role: 'server' })
    assert.ok(existsSync(socket))
    end.close()
    end.close()
    assert.equal(existsSync(socket), false)
  })
})

describe('memif with another process', { skip }, () => {
  function startEcho(role: MemifRole, socket: string): ChildProcess {
    const child = spawn(process.execPath, [file('memifEcho.js'), role, socket], {
      stdio: ['ignore', 'inherit', 'pipe'],
    })
    closers.push(() => child.kill('SIGKILL'))
    return child
  }

  for (const role of ROLES) {
    test(`goes on with the next when that is killed: ${role}`, async () => {
      const socket = newSocket()
      const end = closing(openEnd({ socket, role }))
      for (let round = 0; round < 3; round++) {
        const child = startEcho(other(role), socket)
        await pump([end], () => end.link.isUp, 10_000)
        const flow = new Flow(end, seq => 60 + ((seq * 37) % 1455))
        await flow.echo(5000)
        flow.send(flow.sent + 100)
        child.kill('SIGKILL')
        await pump([end], () => !end.device.isOn)
        flow.reclaim()
        assert.equal(flow.done, flow.sent)
        assert.match(end.lines.pop() ?? '', /has gone/)
        assert.deepEqual(end.lines, [])
      }
    })

    test(`wakes it, and is woken, for each frame: ${role}`, async () => {
      const socket = newSocket()
      const end = closing(openEnd({ socket, role }))
      const { device } = end
      startEcho(other(role), socket)
      await pump([end], () => end.link.isUp, 10_000)
      const flow = new Flow(end, () => 64)
      const late: number[] = []
      for (let i = 0; i < 1000; i++) {
        const begin = performance.now()
        flow.send(flow.sent + 1)
        // A client with frames under way would look after a millisecond by itself.
        while (flow.done < flow.sent && performance.now() < begin + 1000) flow.reclaim()
        for (let k = 0; k < 50 && flow.receive() === 0; k++) device.wait(1_000_000)
        const ms = performance.now() - begin
        if (ms > 200) late.push(ms)
      }
      assert.equal(flow.got, 1000)
      assert.ok(late.length <= 2, `milliseconds that took: ${late}`)
    })
  }
})

describe('memif on a packet thread', { skip }, () => {
  for (const role of ROLES) {
    test(`follows peers, and may die: ${role}`, async () => {
      const socket = newSocket()
      const { handles, link } = openMemifQueues({ socket, role, peerBytes: 16 << 20 })
      const [handle] = handles
      const stop = startMemifTimer(link)
      const region = new Region(memifRegionBytes(handle) + (4 << 20))
      const flag = new Int32Array(new SharedArrayBuffer(4))
      const start = (): Worker => {
        const workerData: EchoThread = { handle, memory: region.memory, flag }
        return new Worker(file('memifWorker.js'), { workerData })
      }
      const echo = async (): Promise<void> => {
        const end = openEnd({ socket, role: other(role) })
        try {
          await pump([end], () => end.link.isUp && link.isUp, 10_000)
          const flow = new Flow(end, seq => 60 + ((seq * 37) % 1455))
          await flow.echo(3000)
        } finally {
          end.close()
        }
      }
      let worker = start()
      try {
        await echo()
        await echo()
        // While it has a peer the thread is ended; the next takes its place.
        const end = closing(openEnd({ socket, role: other(role) }))
        await pump([end], () => end.link.isUp && link.isUp, 10_000)
        const ended = worker.terminate()
        wakeDevice(handle) // it ends where it is in no system call
        await ended
        worker = start()
        await pump([end], () => /our device is closed/.test(end.lines.join()), 10_000)
        await pump([end], () => end.link.isUp && link.isUp, 10_000)
        await new Flow(end, () => 100).echo(500)
      } finally {
        Atomics.store(flag, 0, 1)
        wakeDevice(handle)
        await once(worker, 'exit')
        stop()
        link.close()
        closeHandles(handles)
      }
    })
  }
})
