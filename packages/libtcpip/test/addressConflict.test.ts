/** A stack's IPv4 address before it is used, and when somebody else has it (RFC 5227). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket, ethernet } from '@sandstorm/libeth'
import { ADDRESS_STATES_BYTES, connect, drops, ipv4, ipv4Address } from '../src/index.ts'
import { advance, Host, type HostOptions, OUR_ADDR, OUR_ADDR6, send, sendArp } from './kit/host.ts'
import { address, frame6, message6, packet6 } from './kit/packet6.ts'
import { SYN, setIpChecksum } from './kit/segment.ts'

interface Scene {
  readonly t: Host
  readonly conflicts: string[]
}

function start(): Scene {
  const conflicts: string[] = []
  const onConflict = ({ w0 }: { w0: number }): unknown => conflicts.push(ipv4.formatAddress(w0))
  const t = new Host({ ipVersion: 4, resolved: false, arp: { probes: 3 }, onConflict })
  t.stack.start()
  t.poll()
  return { t, conflicts }
}

/** A packet of a protocol that nobody speaks, which is answered with an error. */
function sendUnknown(t: Host): void {
  send(t, {
    flags: SYN,
    spoil: (view, off) => {
      ipv4.setProtocol(view, off + ethernet.HEADER_LEN, 222)
      setIpChecksum(view, off)
    },
  })
}

const linesOf = (t: Host): string[] => t.take().map(({ line }) => line)

test('it is asked for, announced, and answered for from then on', () => {
  const { t, conflicts } = start()
  sendArp(t, arpPacket.REQUEST)
  advance(t, 749)
  const probe = 'ARP, Probe 10.0.0.2, length 28'
  assert.deepEqual(linesOf(t), [probe, probe, probe])
  advance(t, 1)
  sendArp(t, arpPacket.REQUEST)
  const [announcement, reply] = linesOf(t)
  assert.equal(announcement, 'ARP, Announcement 10.0.0.2, length 28')
  assert.match(reply, /^ARP, Reply 10\.0\.0\.2 is-at /)
  assert.deepEqual(conflicts, [])
})

test('a connection that was asked for meanwhile is opened then', () => {
  const { t } = start()
  connect(t.tcp, 0, ipv4Address('10.0.0.1'), 80)
  advance(t, 760)
  sendArp(t, arpPacket.REPLY)
  assert.ok(t.take().some(({ segment }) => segment !== undefined))
})

test('if somebody has it, it is not used until he is gone for a minute, and we hear of it', () => {
  const { t, conflicts } = start()
  sendArp(t, arpPacket.REQUEST, true, OUR_ADDR)
  assert.deepEqual(conflicts, ['10.0.0.2'])
  t.take()
  advance(t, 50_000)
  sendArp(t, arpPacket.REQUEST)
  assert.deepEqual(linesOf(t), [])
  advance(t, 11_000)
  sendArp(t, arpPacket.REQUEST)
  assert.match(linesOf(t).at(-1) ?? '', /^ARP, Reply 10\.0\.0\.2 is-at /)
})

test('as long as it is not to be used, nothing is answered from it', () => {
  const { t } = start()
  sendUnknown(t)
  sendArp(t, arpPacket.REQUEST, true, OUR_ADDR)
  sendUnknown(t)
  send(t, { flags: SYN })
  assert.deepEqual(linesOf(t).slice(1), [], 'one probe alone')
  assert.equal(t.tcp.pool.usedCount, 0)
  assert.equal(t.tcp.drops[drops.IP_NOT_OURS], 3)
  advance(t, 61_000)
  sendUnknown(t)
  assert.match(linesOf(t).at(-1) ?? '', /ICMP type 3 code 2/)
})

test('if somebody takes it later, it is defended, and we hear of it', () => {
  const { t, conflicts } = start()
  advance(t, 5000)
  t.take()
  sendArp(t, arpPacket.REQUEST, true, OUR_ADDR)
  assert.deepEqual(linesOf(t), ['ARP, Announcement 10.0.0.2, length 28'])
  assert.deepEqual(conflicts, ['10.0.0.2'])
})

for (const ipVersion of [4, 6] as const) {
  test(`another stack on the device goes by what the first finds out: IPv${ipVersion}`, () => {
    for (const isTaken of [false, true]) {
      const addressStates = new SharedArrayBuffer(ADDRESS_STATES_BYTES)
      const options: HostOptions = { ipVersion, resolved: false, addressStates }
      const first = new Host({ ...options, arp: { probes: 3 }, ndp: { dadTransmits: 1 } })
      const second = new Host({ ...options, sharesAddresses: true })
      for (const t of ipVersion === 4 ? [first, second] : []) t.stack.start()
      first.poll()
      send(second, { flags: SYN })
      assert.deepEqual(linesOf(second), [], 'not yet')
      if (isTaken) claim(first)
      advance(first, 1000)
      send(second, { flags: SYN })
      assert.equal(linesOf(second).length, isTaken ? 0 : 1)
      const reason = ipVersion === 4 ? drops.IP_NOT_OURS : drops.IP6_NOT_OURS
      assert.equal(second.tcp.drops[reason], isTaken ? 2 : 1)
    }
  })
}

/** Somebody says that our address is his, to all. */
function claim(t: Host): void {
  if (t.ipVersion === 4) {
    sendArp(t, arpPacket.REQUEST, true, OUR_ADDR)
    return
  }
  const payload = message6(136, 0, 0x20000000, address(OUR_ADDR6))
  const packet = packet6({ src: OUR_ADDR6, dst: 'ff02::1', hopLimit: 255, payload })
  const frame = frame6('333300000001', '02000000000c', packet)
  t.inject((_, off) => {
    t.region.bytes.set(frame, off)
    return frame.length
  })
}
