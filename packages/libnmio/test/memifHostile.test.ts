/**
 * Peers that break the rules of memif: each is dropped with one line in the log, nothing outside of
 * what is shared is read or written, no descriptor stays open, and the next peer is served.
 */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { afterEach, describe, test } from 'node:test'
import { FramePool, koffiProblem, OFFLOAD_NONE } from '../src/index.ts'
import type { Message } from '../src/memif/message.ts'
import { libc } from '../src/sys/libc.ts'
import { createMemory } from '../src/sys/memfd.ts'
import { testFrame } from './device.suite.ts'
import { RAW_BYTES, RAW_SIZE, RawClient, type RawDesc, RawServer } from './memifRaw.ts'
import { type End, newSocket, openEnd, turn } from './memifTest.ts'
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

const openFds = (): number => readdirSync('/proc/self/fd').length

/** Lets `end` go on until it has dropped its peer; checks that it says so in one line. */
function expectDropped(end: End, line: RegExp): void {
  for (let i = 0; i < 100 && end.lines.length === 0; i++) {
    turn([end])
    assert.equal(end.device.rx(), 0)
  }
  turn([end])
  assert.equal(end.lines.length, 1, `lines: ${end.lines.join('; ')}`)
  assert.match(end.lines[0], line)
  assert.equal(end.link.isUp, false)
  assert.equal(end.device.down, '')
  end.lines.length = 0
}

const received = ({ device }: End, i: number): Uint8Array =>
  device.region.bytes.slice(device.rxOff[i], device.rxOff[i] + device.rxLen[i])

/** Pushes a frame, and flushes. */
function send({ device, frames }: End, seq: number, len: number): void {
  const off = frames + 4096 * (seq % 8)
  device.region.bytes.set(testFrame(seq, len), off)
  device.push(off, len, OFFLOAD_NONE)
  device.flush()
}

describe('a server', { skip }, () => {
  /** A server that has had a peer of either kind serves this one, both ways. */
  function expectService(end: End, socket: string): void {
    const client = new RawClient(socket).say(end, 'connect')
    for (let i = 0; i < 3; i++) client.bytes(client.s2m.offsetOf(i), 100).set(testFrame(i, 100))
    client.s2m.head = 3
    assert.equal(end.device.rx(), 3)
    for (let i = 0; i < 3; i++) assert.deepEqual(received(end, i), testFrame(i, 100))
    assert.equal(client.s2m.tail, 3)
    client.m2s.head = 2
    send(end, 7, 80)
    assert.equal(client.m2s.tail, 1)
    assert.deepEqual(client.bytes(client.m2s.offsetOf(0), 80).slice(), testFrame(7, 80))
    client.close()
    expectDropped(end, /has gone/)
  }

  /** A client does `offend`, and is dropped with `line`. */
  function offence(
    title: string,
    line: RegExp,
    offend: (client: RawClient, end: End) => void,
  ): void {
    test(`drops a client: ${title}`, () => {
      const socket = newSocket()
      const end = closing(openEnd({ socket, role: 'server', secret: 'psst', peerBytes: 1 << 20 }))
      const before = openFds()
      const client = closing(new RawClient(socket))
      offend(client, end)
      expectDropped(end, line)
      client.close()
      assert.equal(openFds(), before)
      expectService(end, socket)
      assert.equal(openFds(), before)
    })
  }

  describe('in its messages', () => {
    const bytes = (len: number): Uint8Array => new Uint8Array(len).fill(1)
    type Last = Parameters<RawClient['say']>[1]
    /** Says `message`, with files, after all up to `last`. */
    const says = (
      title: string,
      line: RegExp,
      last: Last,
      message: (client: RawClient) => Message | Uint8Array,
      fds: (client: RawClient) => number[] = () => [],
    ): void =>
      offence(title, line, (client, end) => {
        client.say(end, last).send(message(client), ...fds(client))
      })

    says('too short a message', /none of memif/, 'hello', () => bytes(127))
    says('too long a message', /too long/, 'hello', () => bytes(129))
    says('a message of no type', /none of memif/, 'hello', () => bytes(128))
    says(
      'a second file',
      /too many files/,
      'init',
      c => c.addRegion,
      c => [c.memory, c.rxFd],
    )
    says('ACK', /ack out of turn/, 'init', () => ({ type: 'ack' }))
    says('CONNECTED', /connected out of turn/, 'm2s', () => ({ type: 'connected', ifName: '' }))
    says(
      'memory before INIT',
      /addRegion out of turn/,
      'hello',
      c => c.addRegion,
      c => [c.memory],
    )
    says('INIT again', /init out of turn/, 'init', c => c.init)
    says('a message after CONNECT', /addRegion out of turn/, 'connect', c => c.addRegion)
    says('DISCONNECT', /the peer disconnects: so there\?\?\[2J/, 'connect', () => ({
      type: 'disconnect',
      code: 1,
      reason: 'so there\n\x1b[2J',
    }))

    const init = (title: string, line: RegExp, change: object): void =>
      says(title, line, 'hello', c => ({ ...c.init, ...change }) as Message)
    init('another version', /another version/, { version: 0x0100 })
    init('another mode', /another mode/, { mode: 1 })
    init('another id', /asks for id 7/, { id: 7 })
    init('a wrong secret', /does not know the secret/, { secret: 'pss' })

    const region = (
      title: string,
      line: RegExp,
      change: object,
      fds: (client: RawClient) => number[] = c => [c.memory],
    ): void => says(title, line, 'init', c => ({ ...c.addRegion, ...change }), fds)
    region('memory with another number', /region 1 out of turn/, { index: 1 })
    region('memory of no size', /0 bytes/, { size: 0 })
    region('too much memory', /more than 1048576 bytes/, { size: (1 << 20) + 1 })
    region('far too much memory', /more than 1048576 bytes/, { size: 2 ** 63 })
    region('memory that is shorter than it says', /has 65536 bytes and not 65537/, {
      size: RAW_BYTES + 1,
    })
    region('memory without a file', /comes without memory/, {}, () => [])
    region('an eventfd for memory', /not a memory file/, {}, c => [c.rxFd])
    region('memory that can be shortened', /F_SEAL_SHRINK is missing/, {}, c => {
      const memory = createMemory('bad')
      libc().ftruncate(memory, RAW_BYTES)
      c.fds.push(memory)
      return [memory]
    })
    says('too much memory in all', /region 1: 1048576 bytes/, 'region', c => ({
      ...c.addRegion,
      index: 1,
      size: 1 << 20,
    }))

    const ring = (
      title: string,
      line: RegExp,
      change: object,
      fds: (client: RawClient) => number[] = c => [c.txFd],
    ): void => says(title, line, 'region', c => ({ ...c.addS2m, ...change }), fds)
    ring('a ring with another number', /ring 1 to the server out of turn/, { index: 1 })
    ring('a ring in no region', /does not lie in region 1/, { region: 1 })
    ring('a ring in a region far away', /does not lie in region 65535/, { region: 65535 })
    ring('a ring that ends outside', /does not lie in region 0/, { offset: RAW_BYTES - 380 })
    ring('a ring that begins outside', /does not lie in region 0/, { offset: 0xfffffffc })
    ring('a crooked ring', /does not lie in region 0/, { offset: 2 })
    ring('a ring of one', /size 2\^0/, { log2RingSize: 0 })
    ring('a ring of more than indices', /size 2\^15/, { log2RingSize: 15 })
    ring('a huge ring', /size 2\^255/, { log2RingSize: 255 })
    ring('a ring without an eventfd', /without an eventfd/, {}, () => [])
    ring('a memory file for an eventfd', /is not an eventfd/, {}, c => [c.memory])
    ring('a device for an eventfd', /is not an eventfd/, {}, c => {
      const fd = openSync('/dev/zero', 'r+')
      c.fds.push(fd)
      return [fd]
    })
    ring('a memory file that is called like one', /is not an eventfd/, {}, c => {
      const memory = createMemory('[eventfd]')
      c.fds.push(memory)
      return [memory]
    })
    ring('an eventfd that one reading does not empty', /is a semaphore/, {}, c => {
      const fd = libc().eventfd(0, 1) // EFD_SEMAPHORE
      c.fds.push(fd)
      return [fd]
    })
    const connect: Message = { type: 'connect', ifName: 'raw' }
    says('CONNECT without rings', /has 0 and 0 rings for our 1 queue/, 'region', () => connect)
    says('CONNECT with one ring', /has 1 and 0 rings for our 1 queue/, 's2m', () => connect)
    says('a ring too many', /ring 1 to the client out of turn/, 'm2s', c => ({
      ...c.addM2s,
      index: 1,
    }))
    for (const last of ['hello', 'init', 'm2s', 'connect'] as const) {
      offence(`gone after ${last}`, /the peer has gone/, (client, end) => {
        client.say(end, last).close()
      })
    }
    for (const last of ['hello', 'region'] as const) {
      offence(`silent after ${last}`, /the peer says nothing/, (client, end) => {
        client.say(end, last)
        end.link.poll(performance.now() + 3000)
      })
    }
  })

  describe('in its memory', () => {
    const ring = (title: string, line: RegExp, offend: (client: RawClient) => void): void =>
      offence(title, line, (client, end) => offend(client.say(end, 'connect')))

    const OVERRUN = /ring index claims more/
    ring('an index beyond the ring', OVERRUN, c => {
      c.s2m.head = RAW_SIZE + 1
    })
    ring('an index that goes back', OVERRUN, c => {
      c.s2m.head = 0xffff
    })
    offence('a ring with another cookie', /wrong cookie/, (c, end) => {
      c.s2m.cookie = 1
      c.say(end, 'm2s').send({ type: 'connect', ifName: '' })
    })
    offence('a second ring with another cookie', /wrong cookie/, (c, end) => {
      c.m2s.cookie = 0
      c.say(end, 'm2s').send({ type: 'connect', ifName: '' })
    })

    const OUTSIDE = /leads out of shared memory/
    const DESCS: [string, RegExp, RawDesc][] = [
      ['in another region', OUTSIDE, { region: 1 }],
      ['in a region far away', OUTSIDE, { region: 65535 }],
      ['of no length', OUTSIDE, { length: 0 }],
      ['of all lengths', OUTSIDE, { length: 0xffffffff }],
      ['of a negative length', OUTSIDE, { length: 0x80000000 }],
      ['of one byte too much', OUTSIDE, { offset: RAW_BYTES - 99, length: 100 }],
      ['longer than memory', OUTSIDE, { offset: 0, length: RAW_BYTES + 1 }],
      ['behind memory', OUTSIDE, { offset: RAW_BYTES }],
      ['far behind memory', OUTSIDE, { offset: 0x7fffffff }],
      ['in front of memory', OUTSIDE, { offset: 0xffffffc0 }],
      ['whose end overflows', OUTSIDE, { offset: 0xfffffff0, length: 0x20 }],
      ['that goes on in none', /goes on in a descriptor that is not there/, { flags: 1 }],
    ]
    for (const [title, line, desc] of DESCS) {
      ring(`a descriptor ${title}`, line, c => {
        c.s2m.setDesc(1, desc)
        c.s2m.head = 2
      })
    }
    ring('a ring full of what goes on', /goes on in a descriptor/, c => {
      for (let i = 0; i < RAW_SIZE; i++) c.s2m.setDesc(i, { flags: 1, length: 1024 })
      c.s2m.head = RAW_SIZE
    })

    const buffer = (title: string, line: RegExp, offend: (client: RawClient) => void): void =>
      offence(title, line, (client, end) => {
        offend(client.say(end, 'connect'))
        send(end, 1, 100)
      })
    buffer('more buffers than the ring holds', OVERRUN, c => {
      c.m2s.head = RAW_SIZE + 1
    })
    for (const [title, line, desc] of DESCS.slice(0, -1)) {
      buffer(`a buffer ${title}`, line, c => {
        c.m2s.setDesc(0, desc)
        c.m2s.head = 1
      })
    }
  })

  test('takes frames up to the last byte of memory, and drops what is no frame', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const client = closing(new RawClient(socket)).say(end, 'connect')
    client.s2m.setDesc(0, { length: 100, offset: RAW_BYTES - 100 })
    client.bytes(RAW_BYTES - 100, 100).set(testFrame(5, 100))
    client.s2m.setDesc(1, { length: 13 }) // shorter than its header
    client.s2m.setDesc(2, { length: 1519 }) // longer than the MTU, with header and tag
    for (let i = 3; i < 8; i++) client.s2m.setDesc(i, { length: 400, flags: i < 7 ? 1 : 0 })
    client.s2m.setDesc(8, { length: 18, flags: 1 })
    client.s2m.setDesc(9, { length: 1500 }) // in all just as long as can be
    client.s2m.head = 10
    assert.equal(end.device.rx(), 2)
    assert.deepEqual(received(end, 0), testFrame(5, 100))
    assert.equal(end.device.rxLen[1], 1518)
    assert.equal(end.device.stats.rxDropped, 3)
    assert.equal(client.s2m.tail, 10)
    assert.ok(end.link.isUp)
  })

  test('copies no more of a frame than a cell holds', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const client = closing(new RawClient(socket)).say(end, 'connect')
    const { region, rxOff } = end.device
    region.bytes.fill(0xaa, rxOff[0], rxOff[63])
    client.bytes(RAW_BYTES / 2, RAW_BYTES / 2).fill(0xbb)
    client.s2m.setDesc(0, { offset: RAW_BYTES / 2, length: RAW_BYTES / 2 })
    for (let i = 1; i < 5; i++) {
      client.s2m.setDesc(i, { offset: RAW_BYTES / 2, length: 500, flags: i < 4 ? 1 : 0 })
    }
    client.s2m.head = 5
    assert.equal(end.device.rx(), 0)
    assert.equal(end.device.stats.rxDropped, 2)
    const behind = region.bytes.subarray(rxOff[0] + 1518, rxOff[63])
    assert.ok(behind.every(byte => byte === 0xaa))
  })

  test('looks at memory once: what changes after it was copied changes nothing', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const client = closing(new RawClient(socket)).say(end, 'connect')
    client.bytes(client.s2m.offsetOf(0), 100).set(testFrame(1, 100))
    client.s2m.head = 1
    assert.equal(end.device.rx(), 1)
    client.bytes(0, RAW_BYTES).fill(0xee)
    assert.deepEqual(received(end, 0), testFrame(1, 100))
  })

  test('waits for buffers, chains small ones, and drops what all of them do not hold', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const client = closing(new RawClient(socket)).say(end, 'connect')
    const { device } = end
    send(end, 1, 100)
    assert.equal(device.reclaim(), 0)
    for (let i = 0; i < RAW_SIZE; i++) client.m2s.setDesc(i, { length: 64 })
    client.m2s.head = 1
    device.flush()
    assert.equal(device.reclaim(), 0)
    client.m2s.head = 2
    device.flush()
    assert.equal(device.reclaim(), 1)
    assert.equal(client.m2s.tail, 2)
    const frame = new Uint8Array(100)
    frame.set(client.bytes(client.m2s.offsetOf(0), 64))
    frame.set(client.bytes(client.m2s.offsetOf(1), 36), 64)
    assert.deepEqual(frame, testFrame(1, 100))
    for (let i = 0; i < 2; i++) client.m2s.setDesc(i, { length: 64, flags: 0 })
    client.m2s.head = RAW_SIZE + 2
    send(end, 2, 1514)
    send(end, 3, 60)
    assert.equal(device.reclaim(), 2)
    assert.equal(device.stats.txDropped, 1)
    assert.deepEqual(client.bytes(client.m2s.offsetOf(2), 60).slice(), testFrame(3, 60))
    assert.ok(end.link.isUp)
  })

  test('never sleeps at an eventfd that its client has bent', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const client = closing(new RawClient(socket)).say(end, 'connect')
    const c = libc()
    client.m2s.head = 8
    client.m2s.flags = 0
    for (const fd of [client.rxFd, client.txFd]) c.fcntl(fd, 4, 0) // F_SETFL, without O_NONBLOCK
    const full = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
    c.write(client.rxFd, full, 8)
    send(end, 1, 100) // would be one too many
    assert.equal(client.m2s.tail, 1)
    c.write(client.txFd, full, 8)
    end.device.wait(-1) // is called
    end.device.wait(1000) // and is called no more
    assert.ok(end.link.isUp)
  })

  test('lets the next client wait while its device takes leave of the last', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    closing(new RawClient(socket)).say(end, 'connect').close()
    end.link.poll(performance.now()) // and the device is busy
    const next = closing(new RawClient(socket))
    for (let i = 0; i < 5; i++) end.link.poll(performance.now())
    assert.ok(end.device.isOn)
    next.say(end, 'connect')
    assert.equal(end.lines.length, 1)
  })

  test('sends a second client away', () => {
    const socket = newSocket()
    const end = closing(openEnd({ socket, role: 'server', secret: 'psst' }))
    const first = closing(new RawClient(socket)).say(end, 'connect')
    const second = closing(new RawClient(socket))
    const { message } = second.expect(end, 'disconnect')
    assert.ok(message.type === 'disconnect' && message.reason === 'already connected')
    first.bytes(first.s2m.offsetOf(0), 100).set(testFrame(1, 100))
    first.s2m.head = 1
    assert.equal(end.device.rx(), 1)
    assert.deepEqual(end.lines, [])
  })
})

describe('a client', { skip }, () => {
  /** The same server, or the next, is used by the client. */
  function expectUse(end: End, server: RawServer): void {
    server.accept(end).connect(end)
    assert.equal(server.m2s.head, RAW_SIZE)
    send(end, 3, 100)
    assert.equal(server.s2m.head, 1)
    const off = server.base + server.s2m.offsetOf(0)
    assert.deepEqual(server.region.bytes.slice(off, off + 100), testFrame(3, 100))
    server.s2m.tail = 1
    assert.equal(end.device.reclaim(), 1)
    server.region.bytes.set(testFrame(9, 90), server.base + server.m2s.offsetOf(0))
    server.m2s.setDesc(0, { length: 90 })
    server.m2s.tail = 1
    assert.equal(end.device.rx(), 1)
    assert.deepEqual(received(end, 0), testFrame(9, 90))
    server.leave()
    expectDropped(end, /has gone/)
  }

  /** A server does `offend`, and is left with `line`. */
  function offence(
    title: string,
    line: RegExp,
    offend: (server: RawServer, end: End) => void,
  ): void {
    test(`leaves a server: ${title}`, () => {
      const socket = newSocket()
      const server = closing(new RawServer(socket))
      const end = closing(openEnd({ socket, secret: 'psst' }))
      const before = openFds()
      offend(server.accept(end), end)
      expectDropped(end, line)
      server.leave()
      assert.equal(openFds(), before)
      end.link.poll(performance.now() + 10_000) // it tries again after a while
      expectUse(end, server)
      assert.equal(openFds(), before)
    })
  }

  describe('in its messages', () => {
    const hello = (title: string, line: RegExp, change: object): void =>
      offence(title, line, server => server.send({ ...server.hello, ...change }))
    hello('a version to come', /another version/, { minVersion: 0x0201, maxVersion: 0x0300 })
    hello('a version of old', /another version/, { minVersion: 0x0100, maxVersion: 0x01ff })
    offence('HELLO twice', /hello out of turn/, server => {
      server.send(server.hello)
      server.send(server.hello)
    })
    offence('ACK first', /ack out of turn/, server => server.send({ type: 'ack' }))
    offence('CONNECTED first', /connected out of turn/, server =>
      server.send({ type: 'connected', ifName: '' }),
    )
    offence('CONNECTED too early', /connected out of turn/, (server, end) => {
      server.send(server.hello)
      server.expect(end, 'init')
      server.send({ type: 'connected', ifName: '' })
    })
    offence('too many ACKs', /ack out of turn/, (server, end) => {
      server.greet(end).send({ type: 'ack' })
    })
    offence('a client’s message', /connect out of turn/, server => {
      server.send(server.hello)
      server.send({ type: 'connect', ifName: '' })
    })
    offence('a message of no type', /none of memif/, server => server.send(new Uint8Array(128)))
    offence('DISCONNECT', /the peer disconnects: no reason given/, server =>
      server.send({ type: 'disconnect', code: 0, reason: '' }),
    )
    offence('gone', /has gone/, (server, end) => server.greet(end).leave())
    offence('silent', /says nothing/, (server, end) => {
      server.greet(end)
      end.link.poll(performance.now() + 3000)
    })
  })

  describe('in its memory', () => {
    const OVERRUN = /ring index claims more/
    offence('it takes what was not sent', OVERRUN, (server, end) => {
      server.connect(end).s2m.tail = 1
      assert.equal(end.device.reclaim(), 0)
    })
    offence('it gives back what it has taken', OVERRUN, (server, end) => {
      server.connect(end)
      send(end, 1, 100)
      server.s2m.tail = 0xffff
      assert.equal(end.device.reclaim(), 1) // since nobody is there any more
    })
    const rx = (title: string, line: RegExp, desc: RawDesc, tail = 1): void =>
      offence(title, line, (server, end) => {
        server.connect(end).m2s.setDesc(0, desc)
        server.m2s.tail = tail
      })
    rx('it fills more than it was given', OVERRUN, { length: 100 }, RAW_SIZE + 1)
    rx('it empties what it has filled', OVERRUN, { length: 100 }, 0xffff)
    rx('a frame of no length', /leads out of shared memory/, { length: 0 })
    rx('a frame longer than its buffer', /leads out of shared memory/, { length: 2049 })
    rx('a frame of all lengths', /leads out of shared memory/, { length: 0xffffffff })
    rx('a frame that goes on in none', /goes on in a descriptor/, { length: 100, flags: 1 })
  })

  test('leaves a server whose rings are too small for a frame', () => {
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, mtu: 9000 }))
    server.accept(end).send({ ...server.hello, maxLog2RingSize: 2 })
    expectDropped(end, /rings of 4 cannot hold a frame/)
  })

  test('knows where its buffers are, whatever the server says', () => {
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, secret: 'psst' }))
    server.accept(end).connect(end)
    const at = server.base + server.m2s.offsetOf(0)
    server.region.bytes.set(testFrame(1, 100), at)
    server.m2s.setDesc(0, { length: 100, region: 77, offset: 0xffffffff })
    server.m2s.tail = 1
    assert.equal(end.device.rx(), 1)
    assert.deepEqual(received(end, 0), testFrame(1, 100))
    server.region.bytes.fill(0xee, at, at + 100)
    assert.deepEqual(received(end, 0), testFrame(1, 100))
    assert.ok(end.link.isUp)
  })

  test('shares frames, and nothing else of its region', () => {
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, secret: 'psst' }))
    const { region } = end.device
    const own = region.reserve(3 * 4096)
    const frames = new FramePool(region, 64)
    const alsoOwn = region.reserve(5000)
    const end1 = region.reserveFrames(100)
    region.bytes.fill(0x11, own, end1 + 100)
    server.accept(end).connect(end)
    server.region.bytes.fill(0xee, server.base + 65536, server.base + server.bytes)
    const is = (off: number, len: number, value: number): boolean =>
      region.bytes.subarray(off, off + len).every(byte => byte === value)
    assert.ok(is(own, 3 * 4096, 0x11))
    assert.ok(is(frames.payloadOff(0), 63 * 2048, 0xee))
    assert.ok(is(alsoOwn, 5000, 0x11))
    assert.ok(is(end1, 100, 0xee))
    for (const off of [own, alsoOwn, frames.payloadOff(0) - 4096, end1 + 8192]) {
      assert.throws(() => end.device.push(off, 60, OFFLOAD_NONE), /packet memory/)
    }
    end.device.push(frames.payloadOff(63), 60, OFFLOAD_NONE)
    end.close()
    assert.ok(is(own, 3 * 4096, 0x11))
    assert.ok(is(end1, 100, 0))
  })

  test('shares memory that nobody can shorten', () => {
    const socket = newSocket()
    const server = closing(new RawServer(socket))
    const end = closing(openEnd({ socket, secret: 'psst' }))
    server.accept(end).connect(end)
    assert.equal(libc().ftruncate(server.memory, 4096), -1)
    assert.equal(libc().fcntl(server.memory, 1033, 8), -1) // F_ADD_SEALS
    // /proc reopens it as one likes, but its seals stay.
    const again = openSync(`/proc/self/fd/${server.memory}`, 'r+')
    assert.equal(libc().ftruncate(again, 4096), -1)
    closeSync(again)
  })
})
