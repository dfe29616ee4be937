/** RFC 8200, 4443, 4861, 4862, 8201, 3810, 7112: IPv6 and its neighbours. */
import {
  address,
  addressText,
  concat,
  ETH_IPV6,
  ethernet,
  ip,
  PROTO_TCP,
  PROTO_UDP,
  u16,
  u32,
  udp,
} from '../frames.ts'
import type { Requirement, Section } from '../requirement.ts'
import { type Flow, icmpv6Frame, mssOf, type Probe, solicitation } from '../script.ts'
import type { Seen } from '../seen.ts'

const NA = 136
const ECHO_REQUEST = 128
const ECHO_REPLY = 129
const PACKET_TOO_BIG = 2
const PARAMETER_PROBLEM = 4

const route = (p: Probe): { src: Uint8Array; dst: Uint8Array } => ({
  src: address(p.target.peer.ipv6),
  dst: address(p.target.self.ipv6),
})

const message = icmpv6Frame

const isFrom =
  (p: Probe, type: number) =>
  (seen: Seen): boolean =>
    seen.icmp?.type === type && seen.ip?.version === 6 && seen.ip.src === p.target.self.ipv6

const isAdvertisement =
  (p: Probe) =>
  (seen: Seen): boolean =>
    seen.icmp?.type === NA && addressText(seen.icmp.rest.subarray(4, 20)) === p.target.self.ipv6

/** A SYN behind extension headers. */
function behind(p: Probe, flow: Flow, first: number, headers: Uint8Array): void {
  const syn = flow.frame('S').subarray(54)
  const packet = ip({ ...route(p), protocol: first }, concat(headers, syn))
  p.sendFrames(ethernet(p.target.self.mac, p.target.peer.mac, ETH_IPV6, packet))
}

const DESTINATION = 60
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
/** An options header of eight bytes that holds one option of the given type. */
const options = (next: number, kind: number): Uint8Array =>
  Uint8Array.of(next, 0, kind, 4, 0, 0, 0, 0)
const padded = (next: number): Uint8Array => Uint8Array.of(next, 0, 1, 4, 0, 0, 0, 0)

const TCP: readonly Requirement[] = [
  {
    id: 'TCP over IPv6',
    level: 'MUST',
    rfc: 'RFC 8200 §8.1, RFC 9293 §3.1',
    text: 'A connection over IPv6: handshake, data, close',
    run: async (p: Probe) => {
      const flow = await p.open({ ipVersion: 6 })
      flow.app?.write(3000)
      await flow.find('P.', {})
      flow.send('.')
      await flow.alive()
      flow.app?.close()
      await flow.find('F.', {})
    },
  },
  {
    id: 'MUST-15, SHLD-5 (IPv6)',
    level: 'MUST',
    rfc: 'RFC 9293 §3.7.1',
    text: 'IPv6: the MSS sent is 1440 for an MTU of 1500, and 1220 is used without an option',
    run: async (p: Probe) => {
      const flow = p.flow({ ipVersion: 6 })
      flow.send('S')
      p.equal(mssOf(await flow.expect('S.')), 1440, 'MSS')
      flow.send('.')
      const app = await flow.accepted()
      app.write(2440)
      for (let i = 0; i < 2; i++) await flow.expect('.', { len: 1220 })
    },
  },
  {
    id: 'closed port (IPv6)',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.7.1',
    text: 'IPv6: a closed port answers with RST',
    run: async (p: Probe) => {
      const flow = p.flow({ ipVersion: 6, dstPort: 81 })
      flow.send('S')
      await flow.expect('R.', { ack: 1 })
    },
  },
  {
    id: 'RFC 8200 §8.1',
    level: 'MUST',
    rfc: 'RFC 8200 §8.1, RFC 4291 §2.7',
    text: 'IPv6: a wrong checksum, and a group address as source or destination, are dropped in silence',
    run: async (p: Probe) => {
      const bad = p.flow({ ipVersion: 6 })
      bad.send('S', { checksumError: 1 })
      await bad.silence(30)
      for (const other of [{ src: 'ff02::1' }, { src: '::1' }, { src: '::' }, { dst: 'ff02::1' }]) {
        const flow = p.flow({ ipVersion: 6, ...other })
        flow.send('S')
        const answer = await p.take(seen => seen.tcp?.dstPort === flow.port, 20)
        p.check(answer === undefined, `no answer for ${JSON.stringify(other)}`)
      }
    },
  },
  {
    id: 'RFC 8201 §4',
    level: 'MUST',
    rfc: 'RFC 8201 §4',
    text: 'Packet too big: segments get as small as it says, but not below 1280',
    run: async (p: Probe) => {
      const flow = await p.open({ ipVersion: 6, mss: 1440 })
      flow.app?.write(100_000)
      const first = await flow.find('.', { seq: 1, len: 1440 })
      await flow.collect(10)
      const quoted = first.seen.bytes.subarray(14, 14 + 500)
      p.sendFrames(message(p.target, PACKET_TOO_BIG, 0, concat(u32(1400), quoted)))
      await flow.find('.', { seq: 1, len: 1340 }, 150)
      p.sendFrames(message(p.target, PACKET_TOO_BIG, 0, concat(u32(600), quoted)))
      await flow.collect(5)
      flow.send('.')
      const sizes = (await flow.collect(30)).map(({ len }) => len)
      p.check(Math.max(...sizes) >= 1220, `segments of ${sizes} after an MTU of 600`)
    },
  },
]

const EXTENSION_HEADERS: readonly Requirement[] = [
  {
    id: 'RFC 8200 §4.1',
    level: 'MUST',
    rfc: 'RFC 8200 §4.1',
    text: 'Extension headers are taken in any order and number that makes sense',
    run: async (p: Probe) => {
      for (const [first, headers] of [
        [DESTINATION, padded(PROTO_TCP)],
        [HOP_BY_HOP, padded(PROTO_TCP)],
        [HOP_BY_HOP, concat(padded(DESTINATION), padded(PROTO_TCP))],
        [DESTINATION, concat(padded(DESTINATION), padded(DESTINATION), padded(PROTO_TCP))],
        [ROUTING, Uint8Array.of(PROTO_TCP, 0, 99, 0, 0, 0, 0, 0)],
      ] as const) {
        const flow = p.flow({ ipVersion: 6 })
        behind(p, flow, first, headers)
        await flow.expect('S.', {}, 300)
      }
    },
  },
  {
    id: 'RFC 8200 §4.2',
    level: 'MUST',
    rfc: 'RFC 8200 §4.2',
    text: 'The two high bits of an unknown option say what happens: skip, drop, or parameter problem',
    run: async (p: Probe) => {
      const skipped = p.flow({ ipVersion: 6 })
      behind(p, skipped, DESTINATION, options(PROTO_TCP, 0x1e))
      await skipped.expect('S.')
      const dropped = p.flow({ ipVersion: 6 })
      behind(p, dropped, DESTINATION, options(PROTO_TCP, 0x5e))
      await dropped.silence(30)
      for (const kind of [0x9e, 0xde]) {
        const flow = p.flow({ ipVersion: 6 })
        behind(p, flow, DESTINATION, options(PROTO_TCP, kind))
        const problem = await p.take(isFrom(p, PARAMETER_PROBLEM), 300)
        p.equal(problem?.icmp?.code, 2, `parameter problem for ${kind}`)
      }
    },
  },
  {
    id: 'RFC 8200 §4',
    level: 'SHOULD',
    rfc: 'RFC 8200 §4',
    text: 'An unknown next header is answered with parameter problem, code 1',
    run: async (p: Probe) => {
      const packet = ip({ ...route(p), protocol: 222 }, new Uint8Array(20))
      p.sendFrames(ethernet(p.target.self.mac, p.target.peer.mac, ETH_IPV6, packet))
      const problem = await p.take(isFrom(p, PARAMETER_PROBLEM), 300)
      p.equal(problem?.icmp?.code, 1, 'code')
    },
  },
  {
    id: 'RFC 5095',
    level: 'MUST',
    rfc: 'RFC 5095 §3',
    text: 'A routing header of type 0 with segments left is refused',
    run: async (p: Probe) => {
      const flow = p.flow({ ipVersion: 6 })
      const header = concat(Uint8Array.of(PROTO_TCP, 2, 0, 1, 0, 0, 0, 0), address('fd77::99'))
      behind(p, flow, ROUTING, header)
      await flow.silence(50)
    },
  },
  {
    id: 'RFC 6946',
    level: 'MUST',
    rfc: 'RFC 6946 §4',
    text: 'An atomic fragment is a packet of its own',
    run: async (p: Probe) => {
      const flow = p.flow({ ipVersion: 6 })
      behind(p, flow, FRAGMENT, concat(Uint8Array.of(PROTO_TCP, 0, 0, 0), u32(77)))
      await flow.expect('S.')
    },
  },
  {
    id: 'RFC 7112, RFC 5722',
    level: 'MUST',
    rfc: 'RFC 7112 §5, RFC 5722 §4, RFC 8504 §5.3',
    text: 'Long chains, first fragments without the whole chain, and overlaps do no harm',
    run: async (p: Probe) => {
      for (let i = 0; i < 30; i++) {
        const flow = p.flow({ ipVersion: 6 })
        behind(
          p,
          flow,
          DESTINATION,
          concat(...new Array(160).fill(padded(DESTINATION)), padded(PROTO_TCP)),
        )
        const rest = concat(Uint8Array.of(DESTINATION, 0, 0, 1), u32(i), padded(PROTO_TCP))
        const packet = ip({ ...route(p), protocol: FRAGMENT }, rest)
        p.target.send(ethernet(p.target.self.mac, p.target.peer.mac, ETH_IPV6, packet))
      }
      const flow = await p.open({ ipVersion: 6 })
      await flow.alive()
    },
  },
]

const MESSAGES: readonly Requirement[] = [
  {
    id: 'RFC 4443 §4.2',
    level: 'MUST',
    rfc: 'RFC 4443 §4.2',
    text: 'An ICMPv6 echo request is answered with the same data',
    run: async (p: Probe) => {
      for (const len of [0, 8, 57, 1400]) {
        const data = Uint8Array.from({ length: len }, (_, i) => i & 255)
        p.sendFrames(message(p.target, ECHO_REQUEST, 0, concat(u16(3), u16(4), data)))
        const reply = await p.take(isFrom(p, ECHO_REPLY), 500)
        if (reply?.icmp === undefined) p.fail(`no reply to ${len} bytes`)
        p.equal([...reply.icmp.rest], [0, 3, 0, 4, ...data], 'the data')
      }
    },
  },
  {
    id: 'RFC 4443 §2.4',
    level: 'MUST',
    rfc: 'RFC 4443 §2.4 (e)',
    text: 'No ICMPv6 error is sent about an error, or about a packet to a group',
    run: async (p: Probe) => {
      const junk = new Uint8Array(48).fill(0x60)
      p.sendFrames(
        message(p.target, 1, 4, concat(u32(0), junk)),
        message(p.target, 100, 0, concat(u32(0), junk)),
      )
      const group = { src: address(p.target.peer.ipv6), dst: address('ff02::1') }
      const packet = ip({ ...group, protocol: PROTO_UDP }, udp(group, 1, 9999, new Uint8Array(4)))
      p.sendFrames(
        ethernet(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1), p.target.peer.mac, ETH_IPV6, packet),
      )
      const answer = await p.take(
        seen => seen.ip?.version === 6 && (seen.icmp?.type ?? 200) < 128,
        150,
      )
      p.check(answer === undefined, 'silence')
    },
  },
  {
    id: 'RFC 8200 §8.1 (UDP)',
    level: 'MUST',
    rfc: 'RFC 8200 §8.1, RFC 1122 §4.1.3.4',
    text: 'IPv6: a UDP datagram without a checksum, or with a wrong one, is dropped in silence',
    run: async (p: Probe) => {
      await p.introduce(true)
      for (const sum of [0, 0x1234, undefined]) {
        const datagram = udp(route(p), 4000, 9999, new Uint8Array(4))
        if (sum !== undefined) datagram.set(u16(sum), 6)
        p.sendFrames(p.packet(datagram, { ...route(p), protocol: PROTO_UDP }))
        const answer = await p.take(seen => seen.ip?.version === 6 && seen.icmp?.type === 1, 50)
        p.check((answer === undefined) === (sum !== undefined), `checksum ${sum ?? 'right'}`)
      }
    },
    tests: ['packages/libtcpip/test/udp.test.ts: UDP over IPv6 without a checksum'],
  },
  {
    id: 'RFC 4443 §2.4 (f), §3.1',
    level: 'MUST',
    rfc: 'RFC 4443 §2.4 (c, f)',
    text: 'Errors fit in 1280 bytes and their rate is limited',
    run: async (p: Probe) => {
      const datagram = udp(route(p), 1, 9999, new Uint8Array(1400))
      const packet = ip({ ...route(p), protocol: PROTO_UDP }, datagram)
      const frame = ethernet(p.target.self.mac, p.target.peer.mac, ETH_IPV6, packet)
      let count = 0
      for (let i = 0; i < 100; i++) p.target.send(frame)
      for (;;) {
        const error = await p.take(seen => seen.ip?.version === 6 && seen.icmp?.type === 1, 30)
        if (error === undefined) break
        count++
        p.check((error.ip?.len ?? 0) <= 1280, `an error of ${error.ip?.len} bytes`)
      }
      p.check(count >= 1, 'an error')
      p.check(count < 60, `${count} errors for 100 datagrams`)
    },
  },
]

const NEIGHBOURS: readonly Requirement[] = [
  {
    id: 'RFC 4861 §7.2.4',
    level: 'MUST',
    rfc: 'RFC 4861 §7.2.4',
    text: 'A neighbour solicitation for our address is answered, solicited, with our hardware address',
    run: async (p: Probe) => {
      p.sendFrames(solicitation(p.target, {}))
      const answer = await p.take(isAdvertisement(p), 500)
      if (answer?.icmp === undefined) p.fail('no advertisement')
      p.equal(answer.ip?.ttl, 255, 'hop limit')
      p.check((answer.icmp.rest[0] & 0x40) !== 0, 'the solicited flag')
      p.equal([...answer.icmp.rest.subarray(20, 28)], [2, 1, ...p.target.self.mac], 'its option')
    },
  },
  {
    id: 'RFC 4861 §7.1.1',
    level: 'MUST',
    rfc: 'RFC 4861 §7.1.1',
    text: 'A solicitation with a hop limit below 255, a code, or an option of length 0 is dropped in silence',
    run: async (p: Probe) => {
      p.sendFrames(
        solicitation(p.target, { ttl: 254 }),
        solicitation(p.target, { code: 1 }),
        solicitation(p.target, { option: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) }),
        solicitation(p.target, { target: address('ff02::1') }),
      )
      p.check((await p.take(isAdvertisement(p), 100)) === undefined, 'silence')
    },
  },
  {
    id: 'RFC 4861 §7.2.5',
    level: 'MUST',
    rfc: 'RFC 4861 §7.2.5',
    text: 'An advertisement that nobody asked for makes no entry, and one with O set changes an entry',
    run: async (p: Probe) => {
      const flow = await p.open({ ipVersion: 6 })
      const other = Uint8Array.of(2, 0, 0, 0, 0x66, 0x66)
      const peer = address(p.target.peer.ipv6)
      const rest = concat(u32(0x20000000), peer, Uint8Array.of(2, 1), other)
      p.sendFrames(message(p.target, NA, 0, rest, { dst: address('ff02::1'), ttl: 255 }))
      await p.pass(5)
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal([...data.seen.dstMac], [...other], 'the hardware address')
    },
  },
  {
    id: 'RFC 6583',
    level: 'SHOULD',
    rfc: 'RFC 6583 §5, RFC 4861 §7.2',
    text: 'A flood of solicitations from ever new addresses fills no table',
    run: async (p: Probe) => {
      for (let i = 1; i <= 4096; i++) {
        const src = address(p.target.peer.ipv6)
        src.set(u16(i), 12)
        p.target.send(solicitation(p.target, { src }))
        if (i % 128 === 0) {
          await p.pass(1)
          while (p.target.poll() !== undefined);
        }
      }
      const flow = await p.open({ ipVersion: 6 })
      await flow.alive()
    },
    notOnLinux:
      'its neighbour table (gc_thresh3: 1024) is one for all namespaces of the machine: the flood shuts out everybody’s new neighbours for some seconds',
  },
  {
    id: 'RFC 4862 §5.4',
    level: 'MUST',
    rfc: 'RFC 4862 §5.4, §5.4.3',
    text: 'Duplicate address detection before an address is used; who probes for ours is answered',
    run: async (p: Probe) => {
      p.sendFrames(solicitation(p.target, { src: address('::'), option: new Uint8Array(0) }))
      const answer = await p.take(isAdvertisement(p), 500)
      if (answer?.icmp === undefined) p.fail('no advertisement')
      p.equal(answer.ip?.dst, 'ff02::1', 'to all nodes')
      p.equal(answer.icmp.rest[0] & 0x40, 0, 'the solicited flag')
    },
    tests: [
      'packages/libtcpip/test/ndpStart.test.ts: until then the address is not used: nothing is answered but in silence',
      'packages/libtcpip/test/ndp.test.ts: who looks for our address before use is told through all nodes (RFC 4862 §5.4)',
    ],
  },
  {
    id: 'RFC 4861 §6.1.2, §8.1',
    level: 'MUST',
    rfc: 'RFC 4861 §6.1.2, §8.1, RFC 4862 §5.5.3',
    text: 'Router advertisements and redirects from strangers change nothing, and a flood fills no table',
    run: async (p: Probe) => {
      const flow = await p.open({ ipVersion: 6 })
      for (let i = 0; i < 500; i++) {
        const prefix = concat(
          Uint8Array.of(3, 4, 64, 0xc0),
          u32(7200),
          u32(3600),
          u32(0),
          address('2001:db8::'),
        )
        prefix.set(u16(i), 20)
        const rest = concat(Uint8Array.of(64, 0), u16(1800), u32(0), u32(0), prefix)
        const dst = address('ff02::1')
        p.target.send(
          message(p.target, 134, 0, rest, { src: address('fe80::1234'), dst, ttl: 255 }),
        )
        if (i % 50 === 0) await p.pass(1)
      }
      await flow.alive()
    },
  },
  {
    id: 'RFC 3810, RFC 2710',
    level: 'MUST',
    rfc: 'RFC 3810 §5.2, RFC 4862 §5.4.2',
    text: 'The solicited-node group is joined with a multicast listener report',
    tests: [
      'packages/libtcpip/test/ndpStart.test.ts: groups are joined, addresses asked for, a second later announced and reported again',
      'packages/libtcpip/test/ndpStart.test.ts: a router that asks who listens is answered within the time it allows',
    ],
  },
]

export const IPV6: Section = {
  title: 'IPv6 and neighbour discovery',
  requirements: [...TCP, ...EXTENSION_HEADERS, ...MESSAGES, ...NEIGHBOURS].map(requirement => ({
    ...requirement,
    setup: { ...requirement.setup, ipv6: true },
  })),
}
