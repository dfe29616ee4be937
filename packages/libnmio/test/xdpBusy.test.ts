/**
 * Busy polling: what the socket is told, and when it is called. That the calls run the driver is
 * the kernel's business, with drivers that tell it which NAPI has which queue: veth does not.
 */
import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { BATCH_MAX, closeHandle, openXdp, Region, XdpDevice, xdpRegionBytes } from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { testFrame } from './device.suite.ts'
import { nicProblem, ownNamespace, unless, withoutNetAdmin } from './privileges.ts'
import { ip, makeVeth, removeVeth, socketPeer } from './veth.ts'
import { openTestXdp } from './xdpTest.ts'

const needsNic = unless(nicProblem())
if (needsNic.skip === false) before(ownNamespace)

afterEach(() => removeVeth('near'))

/** asm-generic/socket.h: SO_BUSY_POLL, SO_PREFER_BUSY_POLL; the budget cannot be read. */
const OPTIONS = [46, 69]

function optionsOf(fd: number): number[] {
  const len = new Uint8Array(Int32Array.of(4).buffer)
  return OPTIONS.map(name => {
    const value = new Int32Array(1)
    libc().getsockopt(fd, 1, name, new Uint8Array(value.buffer), len)
    return value[0]
  })
}

function openNear(busyPollUs?: number): number[] {
  const own = { interfaceName: 'near', addresses: [], port: 80, offloads: true }
  const handle = openXdp(busyPollUs === undefined ? own : { ...own, busyPollUs })
  const options = optionsOf(handle.fd)
  closeHandle(handle)
  return [...options, Number(handle.isBusyPolled)]
}

test(
  'the socket is told before it is bound, or left as it is; who may not is told so',
  needsNic,
  () => {
    makeVeth('near', 'far')
    ip('addr', 'add', '10.99.0.1/24', 'dev', 'near')
    const plain = openNear()
    assert.deepEqual(openNear(0), plain)
    assert.equal(plain[2], 0)
    assert.deepEqual(openNear(20), [20, 1, 1])
    withoutNetAdmin(() =>
      assert.throws(() => openNear(20), /SO_PREFER_BUSY_POLL.*EPERM.*cap_net_admin/),
    )
  },
)

for (const isBusyPolled of [true, false]) {
  const title = isBusyPolled ? 'runs the driver' : 'costs no call without busy polling'
  test(`an rx that finds nothing ${title}, and one that finds frames costs none`, needsNic, () => {
    makeVeth('near', 'far')
    const handle = openTestXdp('near', { isBusyPolled })
    const device = new XdpDevice(handle, new Region(xdpRegionBytes(handle)))
    const peer = socketPeer('far')
    const calls = Number(isBusyPolled)
    const before = device.stats.syscalls
    assert.equal(device.rx(), 0)
    assert.equal(device.stats.syscalls - before, calls)
    for (let seq = 0; seq < 100; seq++) assert.ok(peer.send(testFrame(seq, 100)))
    assert.equal(device.rx(), BATCH_MAX)
    assert.equal(device.rx(), 100 - BATCH_MAX)
    assert.equal(device.stats.syscalls - before, calls)
    assert.equal(device.rx(), 0)
    assert.equal(device.stats.syscalls - before, 2 * calls)
    device.close()
    peer.close()
    closeHandle(handle)
  })
}
