/** RFC 791, 1122 §3.2, 6864, 1858: the Internet Protocol, version 4, under TCP. */
import { address, BROADCAST_MAC, PROTO_TCP, PROTO_UDP, u16, udp } from '../frames.ts'
import type { Requirement, Section } from '../requirement.ts'
import type { Flow, Probe, Send } from '../script.ts'

/** A SYN that is changed somehow is dropped in silence. */
async function ignored(p: Probe, name: string, send: Send): Promise<void> {
  const flow = p.flow()
  flow.send('S', send)
  const answer = await p.take(
    seen => seen.tcp?.dstPort === flow.port || (seen.icmp !== undefined && seen.ip?.version === 4),
    20,
  )
  if (answer !== undefined) p.fail(`${name} is answered`)
}

const setByte = (at: number, value: number) => ({
  ip: {
    spoil: (header: Uint8Array): void => {
      header[at] = value
    },
  },
})

/** A SYN in two IP fragments of 8 and 12 bytes. */
function fragments(p: Probe, flow: Flow): Uint8Array[] {
  const frame = flow.frame('S')
  const segment = frame.subarray(34)
  const id = 0x4242
  return [
    p.packet(segment.subarray(0, 8), { protocol: PROTO_TCP, id, fragment: 0x2000 }),
    p.packet(segment.subarray(8), { protocol: PROTO_TCP, id, fragment: 1 }),
  ]
}

/** An echo request as bytes of ICMP. */
export const HEADER: readonly Requirement[] = [
  {
    id: 'RFC 1122 §3.2.1.1',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.1',
    text: 'A packet of another IP version is dropped in silence',
    run: async (p: Probe) => {
      for (const version of [0x05, 0x35, 0x65, 0xf5])
        await ignored(p, `0x${version.toString(16)}`, setByte(0, version))
    },
  },
  {
    id: 'RFC 1122 §3.2.1.2',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.2',
    text: 'A packet with a wrong header checksum is dropped in silence',
    run: async (p: Probe) => {
      for (const checksumError of [1, 0x100, 0x8000])
        await ignored(p, 'it', { ip: { checksumError } })
    },
  },
  {
    id: 'RFC 791 §3.1',
    level: 'MUST',
    rfc: 'RFC 791 §3.1',
    text: 'Impossible header and total lengths are dropped in silence',
    run: async (p: Probe) => {
      await ignored(p, 'a header of 16 bytes', setByte(0, 0x44))
      await ignored(p, 'a header of 60 bytes', setByte(0, 0x4f))
      await ignored(p, 'a total length of 19', setByte(3, 19))
      await ignored(p, 'a total length beyond the frame', setByte(2, 6))
    },
  },
  {
    id: 'RFC 894',
    level: 'MUST',
    rfc: 'RFC 894, RFC 1122 §2.3.3',
    text: 'Ethernet padding behind a packet is not data',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('.', { padding: 20 })
      flow.send('P.', { data: 5, padding: 300 })
      await flow.find('.', { ack: 6 })
      await flow.silence(100)
    },
  },
  {
    id: 'RFC 1122 §3.2.1.3 (source)',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.3',
    text: 'Sources that no host has (0/8, 127/8, groups, broadcast) are dropped in silence',
    tests: [
      'packages/libtcpip/test/ip.test.ts: the source 0.0.0.1: ip-bad-source, in silence',
      'packages/libtcpip/test/ip.test.ts: the source 127.0.0.1: ip-bad-source, in silence',
      'packages/libtcpip/test/ip.test.ts: the source 224.0.0.1: ip-bad-source, in silence',
      'packages/libtcpip/test/ip.test.ts: the source 255.255.255.255: ip-bad-source, in silence',
    ],
  },
  {
    id: 'RFC 1122 §3.2.1.3 (destination)',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.3',
    text: 'A packet for another host is dropped in silence',
    run: async (p: Probe) => {
      const other = p.target.self.ipv4.replace(/\d+$/, '77')
      const flow = p.flow({ dst: other })
      flow.send('S')
      const answer = await p.take(seen => seen.tcp?.dstPort === flow.port, 30)
      p.check(answer === undefined, 'no answer')
    },
  },
  {
    id: 'RFC 1122 §3.3.6',
    level: 'SHOULD',
    rfc: 'RFC 1122 §3.3.6',
    text: 'A unicast packet in a broadcast or multicast frame is dropped in silence',
    run: async (p: Probe) => {
      await ignored(p, 'one in a broadcast frame', { dstMac: BROADCAST_MAC })
      await ignored(p, 'one in a multicast frame', {
        dstMac: Uint8Array.of(1, 0, 0x5e, 1, 2, 3),
      })
    },
  },
  {
    id: 'RFC 1122 §3.2.1.7',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.7',
    text: 'A packet for us with a TTL of 1 or 0 is taken',
    run: async (p: Probe) => {
      for (const ttl of [1, 0]) {
        const flow = p.flow()
        flow.send('S', { ip: { ttl } })
        await flow.expect('S.')
        flow.send('R', { seq: 1 })
      }
    },
  },
  {
    id: 'RFC 1122 §3.2.1.7 (sent)',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.1.7, RFC 9293 §3.9.2',
    text: 'Packets are sent with a TTL of 64',
    run: async (p: Probe) => {
      const synAck = await p.flow().shake()
      p.equal(synAck.seen.ip?.ttl, 64, 'TTL')
    },
  },
  {
    id: 'RFC 6864 §4.1',
    level: 'MUST',
    rfc: 'RFC 6864 §4.1, §4.2',
    text: 'Packets are atomic (DF set): their identification means nothing, and is no counter',
    run: async (p: Probe) => {
      const ids: number[] = []
      for (let i = 0; i < 12; i++) {
        const flow = p.flow()
        const synAck = await flow.shake()
        p.check(((synAck.seen.ip?.fragment ?? 0) & 0x4000) !== 0, 'DF')
        ids.push(synAck.seen.ip?.id ?? 0)
      }
      const steps = ids.slice(1).map((id, i) => (id - ids[i]) & 0xffff)
      p.check(
        steps.every(step => step === 0) || steps.some(step => step > 100),
        `identifications ${ids}`,
      )
    },
  },
  {
    id: 'RFC 791 §3.2, RFC 1122 §3.3.2',
    level: 'MUST',
    rfc: 'RFC 1122 §3.3.2',
    text: 'Fragments are put together again',
    run: async (p: Probe) => {
      const flow = p.flow()
      p.sendFrames(...fragments(p, flow))
      await flow.expect('S.', { ack: 1 })
    },
    deviates: {
      ours: 'TCP in fragments is dropped and counted (ip-fragment): every TCP of today sets DF and learns the path’s MTU, and reassembly is where FragmentSmack, teardrop and overlap attacks live (RFC 8900 §3)',
    },
  },
  {
    id: 'RFC 1858, RFC 3128, RFC 5722',
    level: 'MUST',
    rfc: 'RFC 1858 §3, RFC 3128 §2, CVE-2018-5391',
    text: 'Tiny, overlapping, oversized and endless fragments do no harm',
    run: async (p: Probe) => {
      const payload = new Uint8Array(16).fill(7)
      for (let id = 1; id <= 300; id++) {
        p.target.send(
          p.packet(payload, { protocol: PROTO_TCP, id, fragment: 0x2000 }),
          p.packet(payload, { protocol: PROTO_TCP, id, fragment: 0x2000 | 1 }),
          p.packet(payload, { protocol: PROTO_UDP, id, fragment: 0x1fff }),
        )
        if (id % 50 === 0) await p.pass(2)
      }
      const flow = await p.open()
      await flow.alive()
    },
  },
  {
    id: 'RFC 1122 §4.1.3.1',
    level: 'SHOULD',
    rfc: 'RFC 1122 §4.1.3.1, RFC 792',
    text: 'A UDP datagram to a port that nobody has is answered with port unreachable',
    run: async (p: Probe) => {
      const { self, peer } = p.target
      const route = { src: address(peer.ipv4), dst: address(self.ipv4) }
      const datagram = udp(route, 4000, 9999, Uint8Array.of(1, 2, 3, 4))
      const frame = p.packet(datagram, { protocol: PROTO_UDP })
      p.sendFrames(frame)
      const answer = await p.take(seen => seen.icmp?.type === 3, 500)
      if (answer?.icmp === undefined) p.fail('no port unreachable')
      p.equal(answer.icmp.code, 3, 'code')
      const quoted = answer.icmp.rest.subarray(4, 32)
      p.equal([...quoted], [...frame.subarray(14, 42)], 'the header and eight bytes are quoted')
    },
  },
  {
    id: 'RFC 1122 §4.1.3.4',
    level: 'MUST',
    rfc: 'RFC 1122 §4.1.3.4, RFC 768',
    text: 'A UDP datagram with a wrong checksum or an impossible length is dropped in silence',
    run: async (p: Probe) => {
      const { self, peer } = p.target
      const route = { src: address(peer.ipv4), dst: address(self.ipv4) }
      for (const [at, word] of [
        [6, 0x1234],
        [4, 7],
        [4, 13],
      ]) {
        const datagram = udp(route, 4000, 9999, Uint8Array.of(1, 2, 3, 4))
        datagram.set(u16(word), at)
        p.sendFrames(p.packet(datagram, { protocol: PROTO_UDP }))
        const answer = await p.take(seen => seen.icmp?.type === 3, 50)
        p.check(answer === undefined, `silence about ${word} at ${at}`)
      }
    },
    tests: ['packages/libtcpip/test/udp.test.ts: UDP over IPv4 with a flipped bit'],
  },
]

export const IP: Section = { title: 'Internet Protocol', requirements: HEADER }
