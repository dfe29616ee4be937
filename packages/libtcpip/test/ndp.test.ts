/** Neighbour discovery as others see it (RFC 4861 §7.2, §7.3, RFC 6583), with Linux's frames. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_NEIGHBOUR } from '@sandstorm/libeth'
import { Bench6, OUR_LINK_LOCAL, OUR_MAC, PEER_MAC, sentFrame } from './kit/bench6.ts'
import { address, message6, OURS, PEER, packet6 } from './kit/packet6.ts'

const OUR_GROUP = 'ff02::1:ff00:2'
const OUR_GROUP_MAC = '3333ff000002'
const ALL_NODES_MAC = '333300000001'
/** What the peer asked Linux, and Linux answered, byte for byte. */
const QUESTION =
  '3333ff00000202000000000a86dd6000000000203aff' +
  'fd770000000000000000000000000001ff0200000000000000000001ff000002' +
  '87007ca000000000fd770000000000000000000000000002010102000000000a'
const ANSWER =
  '02000000000a02000000000b86dd6000000000203aff' +
  'fd770000000000000000000000000002fd770000000000000000000000000001' +
  '88001b2c60000000fd770000000000000000000000000002020102000000000b'

const ROUTER = 0x80
const SOLICITED = 0x40
const OVERRIDE = 0x20

const sourceMac = (mac: string): Buffer => Buffer.from(`0101${mac}`, 'hex')
const targetMac = (mac: string): Buffer => Buffer.from(`0201${mac}`, 'hex')

/** A solicitation or advertisement of somebody else. */
interface Message {
  src?: string
  dst?: string
  target?: string
  flags?: number
  option?: Buffer | undefined
  hopLimit?: number
  extensions?: [protocol: number, bytes: Buffer][]
}
function message(type: number, m: Message): Buffer {
  const data = Buffer.concat([address(m.target ?? OURS), m.option ?? Buffer.alloc(0)])
  const payload = message6(type, 0, (m.flags ?? 0) << 24, data)
  return packet6({ hopLimit: 255, ...m, payload })
}
const solicitation = (m: Message = {}): Buffer =>
  message(135, { dst: OUR_GROUP, option: sourceMac(PEER_MAC), ...m })
const advertisement = (m: Message = {}): Buffer =>
  message(136, { target: PEER, flags: SOLICITED, option: targetMac(PEER_MAC), ...m })

const ourQuestion = (target: string, dst: string, dstMac: string): string =>
  sentFrame(
    OURS,
    dst,
    dstMac,
    message6(135, 0, 0, Buffer.concat([address(target), sourceMac(OUR_MAC)])),
  )
const toGroup = (target: string): string => {
  const low = address(target).subarray(13).toString('hex')
  return ourQuestion(target, `ff02::1:ff${low.slice(0, 2)}:${low.slice(2)}`, `3333ff${low}`)
}
const toPeer = (target: string = PEER, mac: string = PEER_MAC): string =>
  ourQuestion(target, target, mac)

/** PEER was asked for and has answered: its entry is reachable. */
function withPeer(addresses: string[] = [OURS]): { t: Bench6; entry: number } {
  const t = new Bench6({ addresses })
  t.lookup(PEER)
  t.input(advertisement())
  t.take()
  const entry = t.lookup(PEER)
  assert.ok(t.holds(entry, PEER))
  return { t, entry }
}

const macOf = (t: Bench6, entry: number): string =>
  t.ndp.macHi[entry].toString(16).padStart(4, '0') +
  (t.ndp.macLo[entry] >>> 0).toString(16).padStart(8, '0')

test('a solicitation is answered as Linux answers it, and the asker is learned', () => {
  const t = new Bench6()
  assert.equal(t.inputFrame(Buffer.from(QUESTION, 'hex')), 'ok')
  assert.deepEqual(t.take(), [ANSWER])
  assert.equal(t.ndp.resolvedCount, 1)
  const entry = t.lookup(PEER)
  assert.equal(macOf(t, entry), PEER_MAC)
  assert.deepEqual(t.take(), [], 'nobody needs to be asked')
})

test('a question by unicast and without a hardware address goes back where it came from', () => {
  const t = new Bench6()
  assert.equal(t.input(solicitation({ dst: OURS, option: undefined })), 'ok')
  assert.deepEqual(t.take(), [ANSWER])
  assert.equal(t.ndp.resolvedCount, 0, 'and teaches nothing')
})

test('who looks for our address before use is told through all nodes (RFC 4862 §5.4)', () => {
  const t = new Bench6()
  const detection = solicitation({ src: '::', option: Buffer.from('0e0181f82ddba212', 'hex') })
  assert.equal(t.input(detection, OUR_GROUP_MAC), 'ok')
  const data = Buffer.concat([address(OURS), targetMac(OUR_MAC)])
  const expected = message6(136, 0, OVERRIDE << 24, data)
  assert.deepEqual(t.take(), [sentFrame(OURS, 'ff02::1', ALL_NODES_MAC, expected)])
  assert.equal(t.ndp.resolvedCount, 0)
})

test('other targets, other groups and malformed questions are not answered', () => {
  const t = new Bench6()
  const refused = (m: Message, reason: string): void => {
    assert.equal(t.input(solicitation(m)), reason)
    assert.deepEqual(t.take(), [])
  }
  refused({ target: 'fd77::1:0:2' }, 'ndp-not-ours')
  refused({ dst: 'ff02::1:ff00:3' }, 'ip6-not-ours')
  refused({ hopLimit: 254 }, 'ndp-hop-limit')
  refused({ option: sourceMac('010000000001') }, 'ndp-bad-mac')
  refused({ option: sourceMac('000000000000') }, 'ndp-bad-mac')
  refused({ src: 'ff02::1' }, 'ip6-bad-source')
  assert.equal(t.input(solicitation(), OUR_GROUP_MAC, OUR_MAC), 'ndp-own')
  assert.equal(t.ndp.resolvedCount, 0)
})

test('what comes in a fragment is not taken, though it be the only one (RFC 6980)', () => {
  const { t, entry } = withPeer()
  const extensions: Message['extensions'] = [[44, Buffer.alloc(8)]]
  const option = targetMac('02000000000c')
  assert.equal(t.input(solicitation({ extensions })), 'ip6-fragment')
  assert.equal(t.input(advertisement({ extensions, flags: OVERRIDE, option })), 'ip6-fragment')
  assert.deepEqual(t.take(), [])
  assert.equal(macOf(t, entry), PEER_MAC)
  assert.equal(t.input(solicitation()), 'ok')
})

test('lookup asks the group once a second at most, and the answer resolves', () => {
  const t = new Bench6()
  const start = t.now
  for (const after of [0, 1, 500, 999]) {
    t.now = start + after
    assert.equal(t.lookup(PEER), NO_NEIGHBOUR)
  }
  assert.deepEqual(t.take(), [toGroup(PEER)])
  t.now = start + 1000
  t.lookup(PEER)
  assert.deepEqual(t.take(), [toGroup(PEER)])
  assert.equal(t.input(advertisement()), 'ok')
  assert.equal(t.ndp.resolvedCount, 1)
  const entry = t.lookup(PEER)
  assert.ok(t.holds(entry, PEER))
  assert.equal(macOf(t, entry), PEER_MAC)
  assert.deepEqual(t.take(), [])
})

test('an unanswered question is repeated by tick, and given up after three', () => {
  const t = new Bench6()
  t.lookup(PEER)
  t.advance(2999)
  assert.deepEqual(t.take(), [toGroup(PEER), toGroup(PEER), toGroup(PEER)])
  assert.equal(t.ndp.stats.expired, 0)
  t.advance(1)
  assert.equal(t.ndp.stats.expired, 1)
  assert.equal(t.ndp.tick(t.now), -1)
  assert.deepEqual(t.take(), [])
})

test('however often it is looked up and ticked, an address is asked for once a second', () => {
  const t = new Bench6()
  let asked = 0
  for (const end = t.now + 60_000; t.now < end; t.now += 7) {
    t.lookup(PEER)
    t.ndp.tick(t.now)
    asked += t.take().length
  }
  assert.ok(asked > 50 && asked <= 60, `${asked}`)
})

test('nobody is asked for addresses that no neighbour has', () => {
  const t = new Bench6()
  for (const text of [OURS, '::', '::1', 'ff02::1', 'ff02::1:ff00:1', '::ffff:10.0.0.1']) {
    assert.equal(t.lookup(text), NO_NEIGHBOUR, text)
  }
  assert.deepEqual(t.take(), [])
  assert.equal(t.ndp.tick(t.now), -1)
})

test('a link-local neighbour is asked from our link-local address, if we have one', () => {
  const t = new Bench6({ addresses: [OUR_LINK_LOCAL, OURS, 'fd78::2'] })
  const source = (target: string): string => {
    t.lookup(target)
    return Buffer.from(t.take()[0], 'hex').subarray(22, 38).toString('hex')
  }
  const hex = (text: string): string => address(text).toString('hex')
  assert.equal(source('fe80::9'), hex(OUR_LINK_LOCAL))
  assert.equal(source('fd77::9'), hex(OURS))
  assert.equal(source('fd78::9'), hex('fd78::2'))
  assert.equal(source('fd79::9'), hex(OURS))
})

test('RFC 4861 §7.2.5: advertisements for an address that is being asked for', () => {
  const cases: [flags: number, option: Buffer | undefined, reason: string, held: boolean][] = [
    [0, undefined, 'ndp-unsolicited', false],
    [SOLICITED, undefined, 'ndp-unsolicited', false],
    [SOLICITED, targetMac(PEER_MAC), 'ok', true],
    [SOLICITED | OVERRIDE | ROUTER, targetMac(PEER_MAC), 'ok', true],
    // Stale: it can be used, but is to be looked up, and so checked.
    [OVERRIDE, targetMac(PEER_MAC), 'ok', false],
    [0, targetMac(PEER_MAC), 'ok', false],
  ]
  for (const [flags, option, reason, held] of cases) {
    const t = new Bench6()
    t.lookup(PEER)
    assert.equal(t.input(advertisement({ flags, option })), reason)
    const entry = t.ndp.resolvedCount === 0 ? NO_NEIGHBOUR : 0
    assert.equal(t.ndp.resolvedCount, reason === 'ok' ? 1 : 0)
    if (entry === NO_NEIGHBOUR) continue
    t.take()
    const found = [...Array(512).keys()].filter(i => t.holds(i, PEER))
    assert.equal(found.length === 1, held)
    assert.equal(macOf(t, t.lookup(PEER)), PEER_MAC)
  }
})

test('RFC 4861 §7.2.5: advertisements for an address that is known', () => {
  const OTHER = '02000000000c'
  const same = targetMac(PEER_MAC)
  const other = targetMac(OTHER)
  // From reachable (true) or stale (false): flags, option, then the address and whether reachable.
  const cases: [boolean, number, Buffer | undefined, string, boolean][] = [
    [true, 0, same, PEER_MAC, true],
    [true, 0, undefined, PEER_MAC, true],
    [true, OVERRIDE, same, PEER_MAC, true],
    [true, 0, other, PEER_MAC, false],
    [true, SOLICITED, other, PEER_MAC, false],
    [true, OVERRIDE, other, OTHER, false],
    [true, SOLICITED | OVERRIDE, other, OTHER, true],
    [false, 0, same, PEER_MAC, false],
    [false, OVERRIDE, same, PEER_MAC, false],
    [false, SOLICITED, same, PEER_MAC, true],
    [false, SOLICITED, undefined, PEER_MAC, true],
    [false, SOLICITED, other, PEER_MAC, false],
    [false, OVERRIDE, other, OTHER, false],
    [false, SOLICITED | OVERRIDE, other, OTHER, true],
  ]
  for (const [from, flags, option, mac, reachable] of cases) {
    const { t, entry } = withPeer()
    if (!from) t.advance(30_000)
    assert.equal(t.holds(entry, PEER), from)
    const text = `${from} ${flags.toString(16)} ${option?.toString('hex')}`
    assert.equal(t.input(advertisement({ flags, option })), 'ok', text)
    assert.equal(t.holds(entry, PEER), reachable, text)
    assert.equal(macOf(t, entry), mac, text)
    assert.equal(t.ndp.stats.moved, mac === OTHER ? 1 : 0)
  }
})

test('the answer of Linux to a probe: solicited, neither override nor hardware address', () => {
  const { t, entry } = withPeer([OURS, OUR_LINK_LOCAL])
  t.advance(30_000)
  assert.ok(!t.holds(entry, PEER))
  const linux =
    '02000000000b02000000000a86dd6000000000183aff' +
    'fd770000000000000000000000000001fe80000000000000000000fffe00000b' +
    '88003f2f40000000fd770000000000000000000000000001'
  assert.equal(t.inputFrame(Buffer.from(linux, 'hex')), 'ok')
  assert.ok(t.holds(entry, PEER))
})

test('an advertisement that nobody asked for creates nothing', () => {
  const t = new Bench6()
  assert.equal(
    t.input(advertisement({ flags: OVERRIDE, dst: 'ff02::1' }), ALL_NODES_MAC),
    'ndp-unsolicited',
  )
  assert.equal(t.input(advertisement()), 'ndp-unsolicited')
  assert.equal(t.ndp.resolvedCount, 0)
  assert.equal(t.lookup(PEER), NO_NEIGHBOUR)
})

test('hardware addresses that no station has are not taken', () => {
  const { t, entry } = withPeer()
  for (const mac of ['ffffffffffff', '010000000001', '000000000000']) {
    const flags = SOLICITED | OVERRIDE
    assert.equal(t.input(advertisement({ flags, option: targetMac(mac) })), 'ndp-bad-mac')
  }
  assert.equal(macOf(t, entry), PEER_MAC)
})

test('a neighbour in use is probed by unicast after 30 + 5 s, and stays usable meanwhile', () => {
  const { t, entry } = withPeer()
  t.advance(29_999)
  assert.ok(t.holds(entry, PEER))
  t.advance(1)
  assert.ok(!t.holds(entry, PEER), 'stale: to be looked up')
  t.advance(100_000)
  assert.deepEqual(t.take(), [], 'as long as nobody wants it, nobody asks')
  assert.equal(t.lookup(PEER), entry)
  assert.ok(t.holds(entry, PEER), 'delay')
  t.advance(4999)
  assert.deepEqual(t.take(), [])
  t.advance(1)
  assert.deepEqual(t.take(), [toPeer()])
  assert.ok(t.holds(entry, PEER), 'probe')
  t.input(advertisement({ option: undefined }))
  t.advance(29_999)
  assert.ok(t.holds(entry, PEER), 'reachable again')
  assert.deepEqual(t.take(), [])
})

test('a neighbour that does not answer three probes is given up, and then asked for by group', () => {
  const { t, entry } = withPeer()
  t.advance(30_000)
  t.lookup(PEER)
  t.advance(7999)
  assert.deepEqual(t.take(), [toPeer(), toPeer(), toPeer()])
  assert.ok(t.holds(entry, PEER))
  t.advance(1)
  assert.ok(!t.holds(entry, PEER))
  assert.equal(t.ndp.stats.expired, 1)
  assert.equal(t.lookup(PEER), NO_NEIGHBOUR)
  assert.deepEqual(t.take(), [toGroup(PEER)])
})

test('progress of TCP confirms a neighbour, so that it is never asked', () => {
  const { t, entry } = withPeer()
  for (let i = 0; i < 20; i++) {
    t.advance(20_000)
    assert.ok(t.holds(entry, PEER))
    t.ndp.confirm(entry, t.now)
  }
  assert.deepEqual(t.take(), [])
  t.advance(30_000)
  t.lookup(PEER)
  t.advance(4000)
  t.ndp.confirm(entry, t.now)
  t.advance(10_000)
  assert.deepEqual(t.take(), [], 'in delay too')
})

test('a question that tells another hardware address moves the neighbour, and makes it stale', () => {
  const { t, entry } = withPeer()
  t.input(solicitation())
  assert.ok(t.holds(entry, PEER), 'the same address changes nothing')
  t.input(solicitation({ option: sourceMac('02000000000c') }))
  assert.ok(!t.holds(entry, PEER))
  assert.equal(macOf(t, entry), '02000000000c')
  assert.equal(t.ndp.stats.moved, 1)
  t.take()
  t.lookup(PEER)
  t.advance(5000)
  assert.deepEqual(t.take(), [toPeer(PEER, '02000000000c')])
})

test('4096 questions from as many addresses: bounded, all answered, nobody in use is forgotten', () => {
  const t = new Bench6({ capacity: 64 })
  const used: [string, number][] = []
  for (let i = 1; i <= 8; i++) {
    const text = `fd77::5:${i.toString(16)}`
    t.input(solicitation({ src: text }))
    used.push([text, t.lookup(text)])
  }
  t.take()
  const frames = t.frames.freeCount
  for (let i = 0; i < 4096; i++) {
    t.now += 1
    t.input(solicitation({ src: `fd77::6:${i.toString(16)}` }))
    assert.equal(t.take().length, 1)
  }
  for (const [text, entry] of used) assert.equal(t.lookup(text), entry, text)
  assert.equal(t.frames.freeCount, frames)
})

test('a flood of unknown addresses holds half of a set, and is refused beyond (RFC 6583)', () => {
  const t = new Bench6({ capacity: 8 })
  t.input(solicitation())
  t.take()
  const entry = t.lookup(PEER)
  for (let i = 0; i < 4096; i++) t.lookup(`fd77::7:${i.toString(16)}`)
  assert.equal(t.take().length, 4)
  assert.equal(t.ndp.stats.refused, 4092)
  assert.equal(t.lookup(PEER), entry)
  t.input(solicitation({ src: 'fd77::8' }))
  assert.ok(t.lookup('fd77::8') >= 0, 'who asks us is learned all the same')
})

test('a full set of neighbours in use: the newcomer is answered, but not learned', () => {
  const t = new Bench6({ capacity: 8 })
  for (let i = 1; i <= 8; i++) {
    t.input(solicitation({ src: `fd77::9:${i}` }))
    t.lookup(`fd77::9:${i}`)
  }
  t.take()
  assert.equal(t.input(solicitation()), 'ndp-table-full')
  assert.deepEqual(t.take(), [ANSWER])
  t.now += 60_000
  assert.equal(t.input(solicitation()), 'ok')
})

test('when one must go, it is the one that was not used for longest', () => {
  const t = new Bench6({ capacity: 8 })
  for (const i of [3, 1, 2, 4, 5, 6, 7, 8]) {
    t.input(solicitation({ src: `fd77::9:${i}` }))
    t.lookup(`fd77::9:${i}`)
    t.now += 10
  }
  t.now += 60_000
  t.input(solicitation())
  t.take()
  assert.ok(t.lookup('fd77::9:1') >= 0)
  assert.equal(t.lookup('fd77::9:3'), NO_NEIGHBOUR)
})

test('without ring space or a frame nothing is built, and it is tried again', () => {
  for (const [options, reason] of [
    [{ ringSize: 1 }, 'no-tx-space'],
    [{ frames: 1 }, 'no-frame-left'],
  ] as const) {
    const t = new Bench6({ ...options, dadTransmits: 0, started: false })
    t.ndp.start(0)
    assert.equal(t.input(solicitation()), reason)
    t.lookup('fd77::9')
    assert.equal(t.ndp.tick(t.now), 10)
    t.take()
    t.take()
    t.now += 10
    t.ndp.tick(t.now)
    assert.deepEqual(t.take(), [toGroup('fd77::9')])
    assert.ok(t.output.unsent >= 2)
  }
})

test('routers are not listened to: configuration is static', () => {
  const t = new Bench6()
  const src = 'fe80::1'
  const from = (payload: Buffer, dst: string): string =>
    t.input(packet6({ src, dst, hopLimit: 255, payload }))
  assert.equal(from(message6(134, 0, 0, Buffer.alloc(8)), 'ff02::1'), 'ndp-router')
  assert.equal(from(message6(133, 0, 0, Buffer.alloc(0)), OURS), 'ndp-router')
  assert.equal(from(message6(137, 0, 0, Buffer.alloc(32)), OURS), 'ndp-redirect')
  assert.deepEqual(t.take(), [])
})

test('the same messages and clock give the same frames', () => {
  const run = (): string[] => {
    const t = new Bench6({ started: false, addresses: [OURS, OUR_LINK_LOCAL] })
    t.ndp.start(0)
    t.advance(1500)
    t.lookup(PEER)
    t.advance(500)
    t.input(advertisement())
    t.advance(60_000)
    t.lookup(PEER)
    t.advance(60_000)
    return t.take()
  }
  assert.ok(run().length > 8)
  assert.deepEqual(run(), run())
})
