/**
 * Connections as `sandstorm conns` reads them: the walk over TCBs in steps, and what a row says.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { tcb } from '@sandstorm/libtcpip'
import type { Connection } from '../src/control/connection.ts'
import { endpointText, localEnd, remoteEnd } from '../src/control/endpoint.ts'
import { reply } from '../src/control/inquiry.ts'
import { type Ask, Inspector } from '../src/control/inspector.ts'
import { LOCAL, ROW_STRIDE } from '../src/control/row.ts'
import { FIRST, newRows, OVER, ROWS_MAX, SCAN_MAX, scan } from '../src/control/scan.ts'
import type { Peer, PeerOptions } from './kit/peer.ts'
import { request, World } from './kit/world.ts'

const FILES = { '/a': 5000, '/big': 300_000 }

/** An inspector that is answered at once. */
const inspect = (world: World): Inspector =>
  new Inspector([async inquiry => reply(world.server, inquiry)])

async function all(world: World): Promise<Connection[]> {
  const connections: Connection[] = []
  for await (const part of inspect(world).connections()) connections.push(...part.connections)
  return connections
}

/** The one connection of a world in which `act` has happened. */
async function only(
  options: Partial<PeerOptions>,
  act: (peer: Peer, world: World) => void,
): Promise<Connection> {
  const world = new World(FILES)
  const peer = world.connect(options)
  act(peer, world)
  const connections = await all(world)
  assert.equal(connections.length, 1)
  return connections[0]
}

describe('a row says', () => {
  test('who talks to whom', async () => {
    const { local, peer } = await only({ addr: 0x0a00fffe, port: 65535 }, () => {})
    assert.equal(endpointText(local), '10.0.0.1:80')
    assert.equal(endpointText(peer), '10.0.255.254:65535')
  })

  test('so of IPv6 too', () => {
    const row = new Int32Array(ROW_STRIDE)
    row.set([0xfd770000, 0, 0, 1], tcb.REMOTE)
    row.set([0xfd770000, 0, 0, 2], LOCAL)
    row[tcb.PORTS] = (50000 << 16) | 80
    row[tcb.FRAME_KEY] = tcb.frameKey(1, tcb.KIND_IPV6, row[tcb.PORTS])
    assert.equal(endpointText(localEnd(row, 0, LOCAL)), '[fd77::2]:80')
    assert.equal(endpointText(remoteEnd(row, 0)), '[fd77::1]:50000')
  })

  test('what is in flight, what is not sent, and when it will be sent again', async () => {
    const c = await only({ autoAck: false, ackEvery: 1000 }, (peer, world) => {
      peer.send(request('/big'))
      world.settle().pass(40)
    })
    assert.equal(c.state, 'ESTAB')
    assert.equal(c.mssBytes, 1428)
    assert.equal(c.cwndBytes, 10 * 1428)
    assert.equal(c.ssthreshBytes, null)
    assert.ok(c.inFlightBytes > 9 * 1428 && c.inFlightBytes <= c.cwndBytes, `${c.inFlightBytes}`)
    const head = c.inFlightBytes + c.notSentBytes - 300_000
    assert.ok(head > 0 && head < 1000, `a head of ${head} bytes`)
    assert.equal(c.timer?.kind, 'on')
    assert.equal(c.timer.leftMs, Math.ceil(c.rtoUs / 1000) - 40)
    assert.equal(c.lastSentMs, 40)
    assert.equal(c.backoff, 0)
    assert.equal(c.recovery, 'none')
  })

  test('that a time-out came, and what it did', async () => {
    const c = await only({ autoAck: false, ackEvery: 1000 }, (peer, world) => {
      peer.send(request('/big'))
      world.settle().pass(1000)
    })
    assert.ok(c.backoff >= 1, `${c.backoff} time-outs`)
    assert.equal(c.recovery, 'loss')
    assert.equal(c.cwndBytes, 1428)
    assert.equal(c.congestion, 'cubic')
    assert.equal(c.ssthreshBytes, Math.floor(c.inFlightBytes * 0.7)) // RFC 9438 §4.6
    const resent = c.inFlightBytes - c.lostBytes
    assert.ok(resent > 0 && resent <= 1428, `${resent} bytes sent again`)
  })

  test('that the peer has shut its window', async () => {
    const c = await only({ autoAck: false, window: 4000 }, (peer, world) => {
      peer.send(request('/big'))
      world.settle()
      peer.options.window = 0
      peer.ack()
      world.settle()
    })
    assert.equal(c.timer?.kind, 'persist')
    assert.equal(c.sendWindowBytes, 0)
    assert.equal(c.inFlightBytes, 0)
  })

  test('what was agreed on', async () => {
    const on = await only({ sack: true, timestamps: true, scale: 7 }, () => {})
    assert.deepEqual([on.sack, on.timestamps, on.ecn], [true, true, false])
    assert.deepEqual(on.windowScale, { send: 7, receive: 0 })
    const off = await only({}, () => {})
    assert.deepEqual([off.sack, off.timestamps, off.windowScale], [false, false, null])
  })

  test('that a tail loss probe is next', async () => {
    const c = await only({ sack: true, autoAck: false, ackEvery: 1000 }, (peer, world) => {
      world.pass(5)
      peer.send(request('/big'))
      world.settle()
      peer.ack(1428)
      world.settle()
    })
    assert.equal(c.timer?.kind, 'probe')
  })

  test("that only the application's own time-out runs while nothing is asked", async () => {
    const c = await only({}, (peer, world) => {
      peer.send(request('/a'))
      world.settle().pass(1000)
    })
    assert.deepEqual(c.timer, { kind: 'app', leftMs: 59_000 })
    assert.equal(c.lastReceivedMs, 1000)
    assert.equal(c.inFlightBytes, 0)
    assert.equal(c.notSentBytes, 0)
  })

  test('nothing about data that was never sent', async () => {
    const c = await only({}, (_peer, world) => world.pass(500))
    assert.equal(c.lastSentMs, null)
    assert.equal(c.lastReceivedMs, 500)
  })
})

test('every state has the name that ss gives it', async () => {
  const world = new World(FILES)
  const closing = request('/a', { close: true })
  const states: Record<string, () => Peer> = {
    'SYN-RECV': () => {
      const peer = world.host.peer().open()
      world.step()
      peer.vanish()
      return peer
    },
    ESTAB: () => world.connect(),
    'FIN-WAIT-1': () => world.connect({ autoAck: false }).send(closing),
    'FIN-WAIT-2': () => world.connect().send(closing),
    CLOSING: () => world.connect({ autoAck: false }).send(closing).fin(),
    'LAST-ACK': () => world.connect({ autoAck: false }).send(request('/big')).fin(),
  }
  const expected = Object.entries(states).map(([state, make]) => [make().port, state])
  world.settle()
  const found = (await all(world)).map(({ peer, state }) => [peer.port, state])
  assert.deepEqual(found.sort(), expected.sort())
  const finWait2 = (await all(world)).find(({ state }) => state === 'FIN-WAIT-2')
  assert.equal(finWait2?.timer?.kind, 'fin-wait-2')
})

test('a FIN in flight is no data that waits to be sent', async () => {
  const c = await only({ autoAck: false }, (peer, world) => {
    peer.send(request('/a', { close: true }))
    world.settle()
  })
  assert.equal(c.state, 'FIN-WAIT-1')
  assert.equal(c.notSentBytes, 0)
  assert.ok(c.inFlightBytes > 5000)
})

test('connections in TIME-WAIT are counted, though they have no row', async () => {
  const world = new World(FILES)
  world.fetch('/a')
  for await (const { connections, timeWait } of inspect(world).connections()) {
    assert.deepEqual(connections, [])
    assert.equal(timeWait, 1)
  }
})

describe('the walk', () => {
  /** How often a step says that there is more, and how many rows come in all. */
  function walk(world: World): { steps: number; rows: number; most: number } {
    const rows = newRows()
    let steps = 0
    let total = 0
    let most = 0
    for (let from = FIRST; from !== OVER; steps++) {
      const { count, next } = scan(world.server.stack, from, rows)
      assert.ok(next === OVER || next > from, 'it goes on')
      total += count
      most = Math.max(most, count)
      from = next
    }
    return { steps, rows: total, most }
  }

  test('looks at a bounded number of TCBs in a step', () => {
    const tcp = { maxConnections: 3 * SCAN_MAX + 1 }
    assert.deepEqual(walk(new World(FILES, { tcp })), { steps: 4, rows: 0, most: 0 })
  })

  test('writes a bounded number of rows in a step, and loses none', () => {
    const world = new World(FILES, { tcp: { maxConnections: SCAN_MAX } })
    const { pool, tcb: table } = world.server.stack.tcp
    const count = 2 * ROWS_MAX + 1
    for (let i = 0; i < count; i++) table[pool.alloc() + tcb.STATE] = 3
    assert.deepEqual(walk(world), { steps: 3, rows: count, most: ROWS_MAX })
  })

  test('copies a TCB as it is', () => {
    const world = new World(FILES)
    world.connect()
    const rows = newRows()
    assert.equal(scan(world.server.stack, FIRST, rows).count, 1)
    const { tcb: table } = world.server.stack.tcp
    assert.deepEqual([...rows.subarray(0, tcb.TCB_STRIDE)], [...table.subarray(0, tcb.TCB_STRIDE)])
    assert.equal(rows[ROW_STRIDE], 0, 'and writes no other row')
  })
})

test('the packet thread is asked one thing at a time', async () => {
  const world = new World(FILES, { tcp: { maxConnections: 3 * SCAN_MAX } })
  let underWay = 0
  let asked = 0
  const ask: Ask = async inquiry => {
    asked++
    assert.equal(++underWay, 1)
    await new Promise(resolve => setImmediate(resolve))
    underWay--
    return reply(world.server, inquiry)
  }
  const inspector = new Inspector([ask])
  const drain = async (): Promise<void> => {
    for await (const part of inspector.connections()) assert.equal(part.connections.length, 0)
  }
  await Promise.all([drain(), inspector.stats(), drain()])
  assert.equal(asked, 7)
})

test('an inquiry that fails does not keep others from being answered', async () => {
  const world = new World(FILES)
  let asked = 0
  const ask: Ask = async inquiry => {
    if (asked++ === 0) throw new Error('gone')
    return reply(world.server, inquiry)
  }
  const inspector = new Inspector([ask])
  await assert.rejects(inspector.stats(), /gone/)
  assert.equal((await inspector.stats()).timeWait, 0)
})

test('of several packet threads each is asked, and what they count is added up', async () => {
  const worlds = [new World(FILES), new World(FILES)]
  worlds[0].connect()
  worlds[1].connect({ port: 50_001 })
  worlds[1].connect({ port: 50_002 })
  const asks = worlds.map(
    ({ server }): Ask =>
      async inquiry =>
        reply(server, inquiry),
  )
  const inspector = new Inspector(asks)
  const ports: number[] = []
  for await (const { connections } of inspector.connections()) {
    for (const { peer } of connections) ports.push(peer.port)
  }
  assert.deepEqual(ports.slice(1).sort(), [50_001, 50_002])
  const [one, other] = worlds.map(({ server }) => server.stats())
  const both = await inspector.stats()
  assert.equal(both.inUse.connections, 3)
  assert.equal(both.tcp.inSegs, one.tcp.inSegs + other.tcp.inSegs)
})
