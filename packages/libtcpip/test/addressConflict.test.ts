/** A stack's IPv4 address before it is used, and when somebody else has it (RFC 5227). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arpPacket, ethernet } from '@sandstorm/libeth'
import { connect, drops, ipv4, ipv4Address } from '../src/index.ts'
import { advance, Host, OUR_ADDR, send, sendArp } from './kit/host.ts'
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
