/**
 * Which datagrams find their port unreachable, and which nothing at all (RFC 1122 §4.1.3.4,
 * RFC 8200 §8.1).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ethernet, OK } from '@sandstorm/libeth'
import { RX_CSUM_GOOD, RX_CSUM_PARTIAL } from '@sandstorm/libnmio'
import { drops, icmp, ipv4 } from '../src/index.ts'
import { udpCheck } from '../src/ip/udpCheck.ts'
import { Bench6 } from './kit/bench6.ts'
import { Host, OUR_ADDR, PEER_ADDR } from './kit/host.ts'
import { address, OURS, PEER, packet6 } from './kit/packet6.ts'
import { writeIpv4 } from './kit/segment.ts'
import * as naive from './reference/checksum.ts'

const IP = ethernet.HEADER_LEN
const UDP = IP + ipv4.HEADER_LEN
/** `hi`, over IPv4 and IPv6. */
const DATAGRAM4 = withSum(Buffer.from('0a0000010a0000020011000b', 'hex'))
const DATAGRAM6 = withSum(
  Buffer.concat([address(PEER), address(OURS), Buffer.from('0000000b00000011', 'hex')]),
)

/** From port 36352 to port 53, three bytes of data, the checksum made with this pseudo-header. */
function withSum(pseudoHeader: Buffer): string {
  const all = Buffer.concat([pseudoHeader, Buffer.from('8e000035000b000068690a', 'hex')])
  const sum = naive.sum(new DataView(all.buffer, all.byteOffset), 0, all.length)
  all.writeUInt16BE(~sum & 0xffff, pseudoHeader.length + 6)
  return all.subarray(pseudoHeader.length).toString('hex')
}

/** [name, what is done to a good datagram, the reason over IPv4, over IPv6]; OK: it is answered. */
const CASES: [string, (good: string) => string, number, number][] = [
  ['as it was sent', good => good, OK, OK],
  ['with padding behind its length', good => `${good}aabb`, OK, OK],
  ['without a checksum', good => `${good.slice(0, 12)}000068690a`, OK, drops.UDP_CHECKSUM],
  ['with a flipped bit', good => good.replace('68690a', '68690b'), ...both(drops.UDP_CHECKSUM)],
  [
    'for another port than was summed',
    good => good.replace('0035', '0034'),
    ...both(drops.UDP_CHECKSUM),
  ],
  ['cut short', good => good.slice(0, -2), ...both(drops.UDP_LENGTH)],
  [
    'with a length under its header',
    good => good.replace('000b', '0007'),
    ...both(drops.UDP_LENGTH),
  ],
  ['shorter than a header', good => good.slice(0, 14), ...both(drops.UDP_LENGTH)],
]

function both(reason: number): [number, number] {
  return [reason, reason]
}

for (const [name, change, reason4, reason6] of CASES) {
  test(`UDP over IPv4 ${name}`, () => {
    const t = new Host()
    const bytes = Buffer.from(change(DATAGRAM4), 'hex')
    t.inject((view, off) => {
      writeIpv4(view, off, t.link, PEER_ADDR, OUR_ADDR, ipv4.PROTO_UDP, bytes.length)
      for (const [i, byte] of bytes.entries()) view.setUint8(off + UDP + i, byte)
      return UDP + bytes.length
    })
    const types = t.take().map(({ bytes }) => bytes[UDP])
    assert.deepEqual(types, reason4 === OK ? [icmp.DESTINATION_UNREACHABLE] : [])
    assert.equal(t.tcp.drops[reason4 === OK ? drops.IP_PROTOCOL : reason4], 1)
  })

  test(`UDP over IPv6 ${name}`, () => {
    const t = new Bench6()
    const payload = Buffer.from(change(DATAGRAM6), 'hex')
    const reason = t.input(packet6({ protocol: ipv4.PROTO_UDP, payload }))
    const expected = reason6 === OK ? drops.IP6_PROTOCOL : reason6
    assert.equal(reason, drops.DROP_NAMES[expected])
    assert.equal(t.take().length, reason6 === OK ? 1 : 0)
  })
}

test('a sum that the device has checked, or the sender left to its device, is not looked at', () => {
  const bytes = Buffer.from('8e000035000b123468690a', 'hex')
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const check = (rxFlags: number): number => udpCheck(view, 0, bytes.length, 0, true, rxFlags)
  assert.equal(check(RX_CSUM_GOOD), OK)
  assert.equal(check(RX_CSUM_PARTIAL), OK)
  assert.equal(check(0), drops.UDP_CHECKSUM)
})
