/** Sockets that carry messages and descriptors, and memory that is shared through them. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { newDeviceStats, Region } from '../src/index.ts'
import { Bell } from '../src/sys/bell.ts'
import { ECONNREFUSED, ENOENT } from '../src/sys/errno.ts'
import { libc } from '../src/sys/libc.ts'
import {
  createMemory,
  eventfdProblem,
  memoryProblem,
  sealMemory,
  sizeOf,
} from '../src/sys/memfd.ts'
import { koffiProblem } from '../src/sys/probe.ts'
import { acceptFrom, connectTo, listenAt, receiveMessage, sendMessage } from '../src/sys/unix.ts'
import { openWakeFd } from '../src/sys/waiter.ts'
import { unless } from './privileges.ts'

const needsLibc = unless(koffiProblem())
const folder = mkdtempSync(join(tmpdir(), 'memif-unix-'))
after(() => rmSync(folder, { recursive: true }))

const openFds = (): number => readdirSync('/proc/self/fd').length
const close = (...fds: number[]): void => {
  for (const fd of fds) libc().close(fd)
}

/** Both ends of a connection at `path`. */
function pair(path: string): { near: number; far: number; end(): void } {
  const listener = listenAt(path)
  const near = connectTo(path)
  const far = acceptFrom(listener.fd)
  assert.ok(near >= 0 && far >= 0)
  const end = (): void => {
    listener.close()
    close(near, far)
  }
  return { near, far, end }
}

for (const path of [join(folder, 'a.sock'), `@memif-unix-${process.pid}`]) {
  const kind = path.startsWith('@') ? 'an abstract name' : 'a path'
  test(`messages and their descriptors pass, at ${kind}`, needsLibc, () => {
    const before = openFds()
    const { near, far, end } = pair(path)
    assert.equal(acceptFrom(far), -1)
    assert.equal(receiveMessage(far, 16, 1), 'none')
    const memory = createMemory('test')
    sealMemory(memory, 8192)
    assert.ok(sendMessage(near, Uint8Array.of(1, 2, 3), []))
    assert.ok(sendMessage(near, Uint8Array.of(4), [memory]))
    assert.deepEqual(receiveMessage(far, 16, 1), { data: Uint8Array.of(1, 2, 3), fds: [] })
    const received = receiveMessage(far, 16, 1)
    assert.ok(typeof received === 'object' && received.fds.length === 1)
    assert.equal(memoryProblem(received.fds[0], 8192), '')
    assert.equal(sizeOf(received.fds[0]), 8192)
    close(memory, ...received.fds)
    libc().close(near)
    assert.equal(receiveMessage(far, 16, 1), 'closed')
    end()
    assert.equal(openFds(), before)
    if (!path.startsWith('@')) assert.equal(existsSync(path), false)
  })

  test(`what is too much is refused, and its descriptors are closed, at ${kind}`, needsLibc, () => {
    const before = openFds()
    const { near, far, end } = pair(path)
    const fd = openWakeFd()
    assert.ok(sendMessage(near, new Uint8Array(17), [fd]))
    assert.equal(receiveMessage(far, 16, 1), 'malformed')
    assert.ok(sendMessage(near, new Uint8Array(16), [fd, fd]))
    assert.equal(receiveMessage(far, 16, 1), 'malformed')
    assert.ok(sendMessage(near, new Uint8Array(16), Array(100).fill(fd)))
    assert.equal(receiveMessage(far, 16, 1), 'malformed')
    assert.equal(receiveMessage(far, 16, 1), 'none')
    close(fd)
    end()
    assert.equal(openFds(), before)
  })
}

test('a second server is refused, a dead one makes room, a file stays', needsLibc, () => {
  const path = join(folder, 'server.sock')
  assert.equal(connectTo(path), -ENOENT)
  const first = listenAt(path)
  assert.throws(() => listenAt(path), /EADDRINUSE.*another server listens there/)
  libc().close(first.fd) // as if it had died: the file stays
  assert.equal(connectTo(path), -ECONNREFUSED)
  assert.throws(() => listenAt(path), /EADDRINUSE/) // its lock is still held
  first.close()
  const file = join(folder, 'file')
  writeFileSync(file, 'precious')
  assert.throws(() => listenAt(file), /EADDRINUSE.*no socket/)
  assert.ok(existsSync(file))
  assert.throws(() => listenAt(join(folder, 'x'.repeat(120))), /EINVAL.*107 bytes/)
  assert.throws(() => listenAt(join(folder, 'none', 'x')), /ENOENT.*give a path in a folder/)
  assert.throws(() => connectTo(''), /EINVAL/)
})

test('memory that could be taken from under us is refused', needsLibc, () => {
  const c = libc()
  const memory = createMemory('test')
  c.ftruncate(memory, 4096)
  assert.match(memoryProblem(memory, 4096), /F_SEAL_SHRINK is missing/)
  c.fcntl(memory, 1033, 2)
  assert.equal(memoryProblem(memory, 4096), '')
  assert.match(memoryProblem(memory, 4097), /has 4096 bytes and not 4097/)
  c.fcntl(memory, 1033, 16)
  assert.match(memoryProblem(memory, 4096), /cannot be written/)
  const event = openWakeFd()
  assert.match(memoryProblem(event, 1), /not a memory file/)
  assert.match(eventfdProblem(memory), /not an eventfd/)
  assert.equal(eventfdProblem(event), '')
  close(memory, event)
})

test('an eventfd that a peer has made block does not hold us', needsLibc, () => {
  const c = libc()
  const fd = openWakeFd()
  c.fcntl(fd, 4, 0) // F_SETFL, without O_NONBLOCK
  const bell = new Bell(new Region(4096), newDeviceStats())
  bell.hush(fd) // there is nothing
  bell.ring(fd)
  const read = new Region(64)
  assert.equal(c.read(fd, c.addressOf(read.bytes), 8), 8)
  assert.equal(read.view.getUint32(0, true), 1)
  c.write(fd, Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 8)
  bell.ring(fd) // would be one too many
  bell.hush(fd)
  bell.hush(fd)
  bell.ring(fd)
  close(fd)
})
