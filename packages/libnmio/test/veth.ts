/**
 * A cable of the kernel's for the tests: a veth pair in this process's own namespace, and a plain
 * packet socket at its far end, which shares no code with the devices.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { BATCH_MAX, type Device } from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { bindPacketSocket, openPacketSocket } from '../src/sys/packet.ts'
import { ETHERTYPE_TEST, type Pair, type Peer } from './device.suite.ts'
import { findLink } from './taps.ts'

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

/** `near` and `far`, up, without addresses of their own making, with so many queues each way. */
export function makeVeth(near: string, far: string, mtu = 1500, queues = 1): void {
  const rest = ['mtu', `${mtu}`, 'numrxqueues', `${queues}`, 'numtxqueues', `${queues}`]
  ip('link', 'add', near, ...rest, 'type', 'veth', 'peer', 'name', far, ...rest)
  for (const name of [near, far]) {
    ip('link', 'set', name, 'addrgenmode', 'none')
    ip('link', 'set', name, 'up')
  }
}

/** An interface as the suite handles it. */
export const linkOf = (name: string): NonNullable<Pair['link']> => ({
  set: isUp => ip('link', 'set', name, isUp ? 'up' : 'down'),
  remove: () => ip('link', 'delete', name),
})

/** Both ends go, if a test has left them. */
export function removeVeth(near: string): void {
  if (findLink(near) !== undefined) ip('link', 'delete', near)
}

/** Of a device on `near`, which has an MTU of 1500, and is no more afterwards. */
export function assertFollowsMtu(device: Device): void {
  assert.equal(device.linkMtu(), 1500)
  for (const [now, told] of [
    [1400, 1400],
    [3000, 1500],
  ]) {
    ip('link', 'set', 'near', 'mtu', `${now}`)
    assert.equal(device.linkMtu(), told)
  }
  // Without a carrier
  ip('link', 'set', 'far', 'down')
  assert.equal(device.linkMtu(), 0)
  removeVeth('near')
  assert.equal(device.linkMtu(), 1500)
  assert.equal(device.mtu, 1500)
}

/** SOL_SOCKET, SO_RCVBUFFORCE: room for a whole test's frames. */
const SO_RCVBUFFORCE = 33
const ROOM = new Uint8Array(Int32Array.of(16 << 20).buffer)

/** The far end as plain system calls; it sees frames of ETHERTYPE_TEST alone. */
export function socketPeer(name: string): Peer & { close(): void } {
  const c = libc()
  const fd = openPacketSocket()
  c.setsockopt(fd, 1, SO_RCVBUFFORCE, ROOM, 4)
  bindPacketSocket(fd, findLink(name)?.index ?? 0)
  const bytes = new Uint8Array(70000)
  let batch: Uint8Array[] = []
  return {
    send: frame => c.send(fd, frame, frame.length, 0) === frame.length,
    receive() {
      batch = []
      while (batch.length < BATCH_MAX) {
        const len = c.recv(fd, bytes, bytes.length, 0)
        if (len < 0) break
        if (((bytes[12] << 8) | bytes[13]) !== ETHERTYPE_TEST) continue
        batch.push(bytes.slice(0, len))
      }
      return batch.length
    },
    frame: i => batch[i],
    close: () => c.close(fd),
  }
}
