/**
 * A device with a queue for each worker, on the kernel's own interfaces: the kernel brings a flow's
 * frames to its worker's queue, each once, where it can be told so; where it cannot, we say what to
 * do.
 */
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DeviceHandle } from '../src/index.ts'
import {
  closeHandles,
  type Device,
  makeDevice,
  openPacketQueues,
  openTapQueues,
  openXdpQueues,
  Region,
  type Spread,
  SysError,
  workerOfFrame,
} from '../src/index.ts'
import { nicProblem, ownNamespace, tapProblem, unless } from './privileges.ts'
import { ip, makeVeth, removeVeth, socketPeer } from './veth.ts'
import * as wire from './wire.ts'

const FLOWS = 200
const SPREAD: Spread = { count: 3, key: 0x5eed5eed }
const MAC = (mac: Uint8Array): string =>
  Buffer.from(mac)
    .toString('hex')
    .replace(/..(?!$)/g, '$&:')

/** Of each queue the device, with a region of its own. */
const makeAll = (handles: readonly DeviceHandle[]): Device[] =>
  handles.map(handle => makeDevice(handle, new Region(24 << 20), new Region(4096)))

interface Arrival {
  readonly queue: number
  readonly owner: number
  readonly port: number
}

/** The TCP frames that have come, wherever. */
function arrivals(devices: readonly Device[]): Arrival[] {
  return devices.flatMap((device, queue) => {
    const list: Arrival[] = []
    const { view } = device.region
    for (let count = device.rx(); count > 0; count = device.rx()) {
      for (let i = 0; i < count; i++) {
        const off = device.rxOff[i]
        if (view.getUint16(off + 12) !== 0x0800 || view.getUint8(off + 23) !== 6) continue
        const owner = workerOfFrame(SPREAD, view, off, device.rxLen[i])
        list.push({ queue, owner, port: view.getUint16(off + 34) })
      }
    }
    return list
  })
}

function assertSpread(list: readonly Arrival[], ports: readonly number[]): void {
  assert.deepEqual(list.map(({ port }) => port).sort(), [...ports].sort(), 'each frame, once')
  for (const { queue, owner, port } of list) assert.equal(queue, owner, `port ${port}`)
  const used = new Set(list.map(({ queue }) => queue))
  assert.equal(used.size, SPREAD.count, 'every queue has some')
}

describe('a TAP', unless(tapProblem() || nicProblem()), () => {
  let handles: DeviceHandle[]
  before(() => {
    ownNamespace()
    const [hostAddresses, serverAddresses] = [['10.9.0.1/24'], ['10.9.0.2/24']]
    const options = { name: 'sand0', hostAddresses, serverAddresses, offloads: true }
    handles = openTapQueues(options, SPREAD)
  })
  after(() => closeHandles(handles))

  test('brings each flow to its worker’s queue', async () => {
    const devices = makeAll(handles)
    ip('neigh', 'replace', '10.9.0.2', 'lladdr', MAC(devices[0].mac), 'dev', 'sand0')
    const sockets = Array.from({ length: FLOWS }, (): Socket => {
      const socket = connect({ host: '10.9.0.2', port: 80 })
      socket.on('error', () => {})
      return socket
    })
    try {
      const list: Arrival[] = []
      for (let ms = 0; ms < 5000 && list.length < FLOWS; ms += 5) {
        await sleep(5)
        list.push(...arrivals(devices))
      }
      // SYNs that are sent again, after a second, come from the same ports.
      const first = list.filter((one, i) => list.findIndex(({ port }) => port === one.port) === i)
      assert.equal(first.length, FLOWS)
      assertSpread(
        first,
        first.map(({ port }) => port),
      )
    } finally {
      for (const socket of sockets) socket.destroy()
      for (const device of devices) device.close()
    }
  })

  test('is one interface, and gone with its queues', () => {
    assert.match(ip('-d', 'link', 'show', 'sand0'), /multi_queue/)
    closeHandles(handles)
    assert.throws(() => ip('link', 'show', 'sand0'))
  })
})

const CLIENT = { mac: Uint8Array.of(2, 0, 0, 0, 0, 2), ip: [10, 9, 0, 9], port: 0 }

describe('an interface that is there', unless(nicProblem()), () => {
  const options = { interfaceName: 'near', addresses: ['10.9.0.2/24'], port: 80, offloads: true }
  before(() => {
    ownNamespace()
    makeVeth('near', 'far')
  })
  after(() => removeVeth('near'))

  test('brings each flow to its worker’s packet socket', async () => {
    const handles = openPacketQueues(options, SPREAD)
    const devices = makeAll(handles)
    const far = socketPeer('far')
    try {
      const to = { mac: handles[0].mac, ip: [10, 9, 0, 2], port: 80 }
      const ports = Array.from({ length: FLOWS }, (_, i) => 40_000 + i)
      const syn = { seq: 1, ack: 0, flags: wire.SYN }
      for (const port of ports) {
        far.send(wire.tcp({ ...CLIENT, port }, to, syn, new Uint8Array(0), false))
      }
      await sleep(50)
      assertSpread(arrivals(devices), ports)
    } finally {
      far.close()
      for (const device of devices) device.close()
      closeHandles(handles)
    }
  })

  test('has to have as many queues as there are workers for AF_XDP', () => {
    assert.throws(
      () => openXdpQueues(options, SPREAD),
      (error: unknown) => {
        assert.ok(error instanceof SysError)
        assert.match(error.message, /xdp:near has 1 receive queue for 3 workers/)
        assert.match(error.message, /sudo ethtool -L near rx 3 tx 3/)
        return true
      },
    )
    assert.match(ip('link', 'show', 'near'), /^((?!xdp).)*$/s, 'and nothing was attached')
  })

  for (const [kind, open] of [
    ['packet', openPacketQueues],
    ['xdp', openXdpQueues],
  ] as const)
    test(`that is removed ends every queue of ${kind}`, () => {
      makeVeth('gone', 'other', 1500, 2)
      const handles = open({ ...options, interfaceName: 'gone' }, { count: 2, key: 1 })
      const devices = makeAll(handles)
      try {
        removeVeth('gone')
        for (const device of devices) {
          for (let i = 0; i < 20 && device.down === ''; i++) device.wait(100_000)
          assert.match(device.down, /gone was removed/)
        }
      } finally {
        for (const device of devices) device.close()
        closeHandles(handles)
      }
    })
})
