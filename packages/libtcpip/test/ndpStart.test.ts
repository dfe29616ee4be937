/** Before an address is used: detection (RFC 4862 §5.4) and listener reports (RFC 3810). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DUPLICATE, TENTATIVE, VALID } from '../src/index.ts'
import { Bench6, OUR_LINK_LOCAL, OUR_MAC, PEER_MAC, sentFrame } from './kit/bench6.ts'
import { address, message6, OURS, PEER, packet6 } from './kit/packet6.ts'

/** What Linux reports for fd77::2 and its link-local address: before and after detection. */
const REPORT_FROM_NOBODY =
  '33330000001602000000000b86dd600000000038000100000000000000000000000000000000' +
  'ff0200000000000000000000000000163a000502000001008f006d6300000002' +
  '04000000ff0200000000000000000001ff00000204000000ff0200000000000000000001ff00000b'
const REPORT =
  '33330000001602000000000b86dd6000000000380001fe80000000000000000000fffe00000b' +
  'ff0200000000000000000000000000163a000502000001008f006fd700000002' +
  '04000000ff0200000000000000000001ff00000204000000ff0200000000000000000001ff00000b'

const BOTH = [OURS, OUR_LINK_LOCAL]

/** What asks for an address of ours: as Linux does, but without a nonce. */
const detection = (target: string): string => {
  const low = address(target).subarray(13).toString('hex')
  const group = `ff02::1:ff${low.slice(0, 2)}:${low.slice(2)}`
  return sentFrame('::', group, `3333ff${low}`, message6(135, 0, 0, address(target)))
}
const announcement = (target: string): string => {
  const data = Buffer.concat([address(target), Buffer.from(`0201${OUR_MAC}`, 'hex')])
  return sentFrame(target, 'ff02::1', '333300000001', message6(136, 0, 0x20 << 24, data))
}
/** Somebody else's messages about our address. */
const theirDetection = (target: string = OURS): Buffer =>
  packet6({
    src: '::',
    dst: 'ff02::1:ff00:2',
    hopLimit: 255,
    payload: message6(135, 0, 0, address(target)),
  })
const theirAdvertisement = (target: string = OURS): Buffer => {
  const data = Buffer.concat([address(target), Buffer.from(`0201${PEER_MAC}`, 'hex')])
  const payload = message6(136, 0, 0x20 << 24, data)
  return packet6({ src: target, dst: 'ff02::1', hopLimit: 255, payload })
}
const echo = (dst: string): Buffer =>
  packet6({ dst, payload: message6(128, 0, 1, Buffer.alloc(8)) })

function started(addresses: string[] = BOTH): Bench6 {
  const t = new Bench6({ started: false, addresses })
  t.ndp.start(0)
  return t
}

test('groups are joined, addresses asked for, a second later announced and reported again', () => {
  const t = started()
  assert.deepEqual(t.take(), [REPORT_FROM_NOBODY, detection(OURS), detection(OUR_LINK_LOCAL)])
  t.advance(999)
  assert.deepEqual(t.take(), [])
  t.advance(1)
  assert.deepEqual(t.take(), [announcement(OURS), announcement(OUR_LINK_LOCAL), REPORT])
  assert.equal(t.ndp.tick(t.now), -1)
})

test('until then the address is not used: nothing is answered but in silence', () => {
  const t = started()
  t.take()
  assert.deepEqual([...t.ndp.own.state], [TENTATIVE, TENTATIVE])
  assert.equal(t.input(echo(OURS)), 'ip6-not-ours')
  const question = message6(
    135,
    0,
    0,
    Buffer.concat([address(OURS), Buffer.from(`0101${PEER_MAC}`, 'hex')]),
  )
  assert.equal(
    t.input(packet6({ dst: 'ff02::1:ff00:2', hopLimit: 255, payload: question })),
    'ndp-tentative',
  )
  assert.equal(t.input(echo('ff02::1')), 'ip6-not-ours', 'there is nobody to answer from')
  t.lookup(PEER)
  assert.deepEqual(t.take(), [])
  t.advance(1000)
  assert.deepEqual([...t.ndp.own.state], [VALID, VALID])
  assert.equal(t.input(echo(OURS)), 'ok')
})

test('without questions (dadTransmits 0) an address is announced and used at once', () => {
  const t = new Bench6({ started: false, dadTransmits: 0 })
  t.ndp.start(0)
  assert.equal(t.take()[1], announcement(OURS))
  assert.deepEqual([...t.ndp.own.state], [VALID])
})

for (const [what, packet] of [
  ['asks for the address too', theirDetection()],
  ['has the address', theirAdvertisement()],
] as const) {
  test(`somebody ${what}: it is never used, and that is told`, () => {
    const t = started()
    t.advance(500)
    t.take()
    assert.equal(t.input(packet), 'ndp-conflict')
    assert.deepEqual(t.conflicts, [0])
    assert.equal(t.ndp.stats.conflicts, 1)
    t.advance(10_000)
    assert.deepEqual([...t.ndp.own.state], [DUPLICATE, VALID])
    const [announced, report] = t.take()
    assert.equal(announced, announcement(OUR_LINK_LOCAL))
    assert.ok(!report.includes('ff000002'), 'its group is left')
    assert.equal(t.input(echo(OURS)), 'ip6-not-ours')
    assert.equal(t.input(theirDetection()), 'ip6-not-ours')
    assert.equal(t.ndp.lookup(...wordsOf(OURS), t.now), -1)
    assert.equal(t.take().length, 1, 'it is a neighbour’s now, and can be asked for')
    assert.deepEqual(t.conflicts, [0])
  })
}

const wordsOf = (text: string): [number, number, number, number] => {
  const bytes = address(text)
  return [0, 4, 8, 12].map(at => bytes.readInt32BE(at)) as [number, number, number, number]
}

test('our own question that comes back is no conflict', () => {
  const t = started()
  assert.equal(t.input(theirDetection(), '3333ff000002', OUR_MAC), 'ndp-own')
  t.advance(1000)
  assert.deepEqual([...t.ndp.own.state], [VALID, VALID])
})

test('an address in use stays in use, and the conflict is told', () => {
  const t = new Bench6()
  assert.equal(t.input(theirAdvertisement()), 'ndp-conflict')
  const question = message6(135, 0, 0, address(OURS))
  const fromOurs = packet6({ src: OURS, dst: 'ff02::1:ff00:2', hopLimit: 255, payload: question })
  assert.equal(t.input(fromOurs), 'ndp-conflict')
  assert.deepEqual(t.conflicts, [0, 0])
  assert.deepEqual([...t.ndp.own.state], [VALID])
  assert.deepEqual(t.take(), [])
})

test('another start begins again', () => {
  const t = started()
  t.input(theirDetection())
  t.advance(1000)
  t.take()
  t.ndp.start(t.now)
  assert.deepEqual(t.take(), [REPORT_FROM_NOBODY, detection(OURS), detection(OUR_LINK_LOCAL)])
  t.advance(1000)
  assert.deepEqual([...t.ndp.own.state], [VALID, VALID])
})

test('a full ring delays the question, and so the use', () => {
  const t = new Bench6({ started: false, ringSize: 1, addresses: [OURS] })
  t.ndp.start(0)
  assert.equal(t.take().length, 1, 'the report')
  t.take()
  t.advance(10)
  assert.deepEqual(t.take(), [detection(OURS)])
  t.take()
  t.advance(999)
  assert.deepEqual([...t.ndp.own.state], [TENTATIVE])
  t.advance(1)
  assert.deepEqual([...t.ndp.own.state], [VALID])
})

test('hardware addresses of our groups, and of no others, concern us', () => {
  const { own } = new Bench6({ addresses: BOTH }).ndp
  for (const lo of [1, 0xff000002 | 0, 0xff00000b | 0]) assert.ok(own.isOurGroupMac(0x3333, lo))
  for (const lo of [0, 2, 0x16, 0xff000003 | 0, 0xfe000002 | 0, -1]) {
    assert.ok(!own.isOurGroupMac(0x3333, lo), `${lo}`)
  }
  assert.ok(!own.isOurGroupMac(0xffff, 1) && !own.isOurGroupMac(0x0100, 1))
})

const query = (
  code: number,
  over: { src?: string; hopLimit?: number; len?: number } = {},
): Buffer => {
  const payload = message6(130, 0, code << 16, Buffer.alloc(over.len ?? 20))
  return packet6({ src: 'fe80::1', dst: 'ff02::1', hopLimit: 1, ...over, payload })
}

test('a router that asks who listens is answered within the time it allows', () => {
  const t = new Bench6({ addresses: BOTH })
  assert.equal(t.input(query(100)), 'ok')
  t.advance(100)
  const current = REPORT.replaceAll('04000000ff02', '02000000ff02').replace('6fd7', '73d7')
  assert.deepEqual(t.take(), [current])
  assert.equal(t.input(query(0)), 'ok')
  assert.equal(t.input(query(0)), 'ok')
  t.advance(0)
  assert.equal(t.take().length, 1, 'two questions, one answer')
  // By hardware address 11: at 11 ms of 100 or of a day, but a sooner answer stands.
  assert.equal(t.input(query(3)), 'ok')
  assert.equal(t.ndp.tick(t.now), 3)
  assert.equal(t.input(query(0xffff)), 'ok')
  assert.equal(t.ndp.tick(t.now), 3)
})

test('a query that is none of a router of this link is dropped', () => {
  const t = new Bench6()
  for (const bad of [query(0, { src: PEER }), query(0, { hopLimit: 64 }), query(0, { len: 12 })]) {
    assert.equal(t.input(bad), 'mld-bad-query')
  }
  assert.equal(t.ndp.tick(t.now), -1)
})

test('addresses with the same last bytes have one group, reported once', () => {
  const t = started(['fd77::2', 'fd78::2'])
  const [report] = t.take()
  assert.equal(report.slice(14 * 2 + 54 * 2, 14 * 2 + 56 * 2), '0001')
})
