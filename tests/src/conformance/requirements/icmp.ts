/** RFC 792, 1122 §3.2.2, 1191, 4821, 5461, 5927, 6633: messages about the network. */
import { address, BROADCAST_MAC, concat, icmp, PROTO_ICMP, u16, u32 } from '../frames.ts'
import type { Requirement, Section } from '../requirement.ts'
import type { Flow, Probe } from '../script.ts'
import type { Seen } from '../seen.ts'

const UNREACHABLE = 3
const SOURCE_QUENCH = 4
const REDIRECT = 5
const TIME_EXCEEDED = 11
const PARAMETER_PROBLEM = 12
const FRAGMENTATION_NEEDED = 4

/** An ICMP message of the peer. */
const message = (p: Probe, type: number, code: number, rest: Uint8Array, fields = {}): Uint8Array =>
  p.packet(icmp(type, code, rest), { protocol: PROTO_ICMP, ...fields })

const echo = (p: Probe, data: Uint8Array, fields = {}): Uint8Array =>
  message(p, 8, 0, concat(u16(0x1111), u16(7), data), fields)

const isEchoReply = (seen: Seen): boolean => seen.icmp?.type === 0 && seen.ip?.version === 4

/** An error about a segment that the target has sent with sequence number `seq` (relative). */
function errorAbout(
  flow: Flow,
  type: number,
  code: number,
  options: { seq?: number; mtu?: number; port?: number; dst?: string } = {},
): Uint8Array {
  const { probe } = flow
  const { self, peer } = probe.target
  const quoted = concat(
    Uint8Array.of(0x45, 0),
    u16(1500),
    u16(0),
    u16(0x4000),
    Uint8Array.of(63, 6, 0, 0),
    address(self.ipv4),
    address(options.dst ?? peer.ipv4),
    u16(flow.dstPort),
    u16(options.port ?? flow.port),
    u32(((flow.theirIsn ?? 0) + (options.seq ?? 1)) >>> 0),
  )
  return message(probe, type, code, concat(u16(0), u16(options.mtu ?? 0), quoted))
}

/** A connection with a flight of ten segments of 1460 bytes in the network. */
async function sending(p: Probe): Promise<Flow> {
  const flow = await p.open({ mss: 1460 })
  flow.app?.write(200_000)
  await flow.find('.', { seq: 13_141, len: 1460 })
  return flow
}

async function stays(flow: Flow, frames: Uint8Array[]): Promise<void> {
  for (const frame of frames) {
    flow.probe.sendFrames(frame)
    await flow.probe.pass(2)
  }
  await flow.collect(20)
  await flow.alive()
}

const ECHO: readonly Requirement[] = [
  {
    id: 'RFC 1122 §3.2.2.6',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.2.6',
    text: 'An echo request is answered with the same data, from 0 to 1472 bytes',
    run: async (p: Probe) => {
      for (const len of [0, 1, 7, 56, 57, 1000, 1471, 1472]) {
        const data = Uint8Array.from({ length: len }, (_, i) => (i * 7) & 255)
        p.sendFrames(echo(p, data))
        const reply = await p.take(isEchoReply, 500)
        if (reply?.icmp === undefined) p.fail(`no reply to ${len} bytes`)
        p.equal([...reply.icmp.rest], [0x11, 0x11, 0, 7, ...data], 'the data')
        p.equal(reply.ip?.src, p.target.self.ipv4, 'from')
      }
    },
  },
  {
    id: 'RFC 1122 §3.2.2.6 (broadcast)',
    level: 'MAY',
    rfc: 'RFC 1122 §3.2.2.6',
    text: 'An echo request to a broadcast address is dropped in silence',
    run: async (p: Probe) => {
      for (const dst of [p.target.self.ipv4.replace(/\d+$/, '255'), '255.255.255.255']) {
        const frame = echo(p, new Uint8Array(8), { dst: address(dst) })
        frame.set(BROADCAST_MAC, 0)
        p.sendFrames(frame)
        p.check((await p.take(isEchoReply, 50)) === undefined, `no reply to ${dst}`)
      }
    },
  },
  {
    id: 'RFC 1122 §3.2.2',
    level: 'MUST',
    rfc: 'RFC 1122 §3.2.2',
    text: 'No ICMP error is sent about an ICMP error, a broadcast, or a later fragment',
    run: async (p: Probe) => {
      const { self } = p.target
      const junk = new Uint8Array(28).fill(0x45)
      const broadcast = p.packet(new Uint8Array(8), {
        protocol: 17,
        dst: address(self.ipv4.replace(/\d+$/, '255')),
      })
      broadcast.set(BROADCAST_MAC, 0)
      p.sendFrames(
        message(p, UNREACHABLE, 3, concat(u32(0), junk)),
        message(p, TIME_EXCEEDED, 0, concat(u32(0), junk)),
        message(p, 99, 0, concat(u32(0), junk)),
        p.packet(new Uint8Array(16), { protocol: 17, fragment: 100 }),
        broadcast,
      )
      const answer = await p.take(seen => seen.icmp !== undefined && seen.ip?.version === 4, 200)
      p.check(answer === undefined, 'silence')
    },
  },
  {
    id: 'RFC 1812 §4.3.2.8',
    level: 'SHOULD',
    rfc: 'RFC 1122 §3.2.2, RFC 1812 §4.3.2.8',
    text: 'The rate of ICMP errors is limited',
    run: async (p: Probe) => {
      for (let i = 0; i < 100; i++) {
        p.target.send(p.packet(new Uint8Array(8), { protocol: 17 }))
      }
      let count = 0
      while ((await p.take(seen => seen.icmp?.type === 3, 30)) !== undefined) count++
      p.check(count < 50, `${count} errors for 100 datagrams`)
    },
  },
  {
    id: 'ICMP checksum',
    level: 'MUST',
    rfc: 'RFC 792',
    text: 'An ICMP message with a wrong checksum is dropped in silence',
    run: async (p: Probe) => {
      const frame = echo(p, new Uint8Array(20))
      frame[36] ^= 0x55
      p.sendFrames(frame)
      p.check((await p.take(isEchoReply, 50)) === undefined, 'no reply')
    },
  },
  {
    id: 'RFC 1122 §3.2.2.2',
    level: 'MAY',
    rfc: 'RFC 1122 §3.2.2.2',
    text: 'A redirect does not change where answers go',
    run: async (p: Probe) => {
      const flow = await p.open()
      const other = address(p.target.self.ipv4.replace(/\d+$/, '99'))
      const redirect = errorAbout(flow, REDIRECT, 1)
      redirect.set(other, 38)
      // The checksum again, for the changed gateway.
      const rest = redirect.subarray(38)
      p.sendFrames(message(p, REDIRECT, 1, rest))
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal([...data.seen.dstMac], [...p.target.peer.mac], 'the hardware address')
    },
  },
]

const ERRORS: readonly Requirement[] = [
  {
    id: 'MUST-54, MUST-56, SHLD-25',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.2.2',
    text: 'Unreachable (0, 1, 5), time exceeded and parameter problem end no connection',
    run: async (p: Probe) => {
      const flow = await sending(p)
      const codes = [0, 1, 5].map(code => errorAbout(flow, UNREACHABLE, code))
      await stays(flow, [
        ...codes,
        errorAbout(flow, TIME_EXCEEDED, 0),
        errorAbout(flow, PARAMETER_PROBLEM, 0),
      ])
    },
  },
  {
    id: 'SHLD-26, RFC 5927 §5.2',
    level: 'SHOULD',
    rfc: 'RFC 5927 §5.2 (against RFC 9293 §3.9.2.2)',
    text: 'Protocol and port unreachable do not end a synchronized connection either',
    run: async (p: Probe) => {
      const flow = await sending(p)
      await stays(flow, [errorAbout(flow, UNREACHABLE, 2), errorAbout(flow, UNREACHABLE, 3)])
    },
  },
  {
    id: 'MUST-55, RFC 6633',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.2.2, RFC 6633 §3',
    text: 'Source quench does nothing',
    run: async (p: Probe) => {
      const flow = await sending(p)
      p.sendFrames(errorAbout(flow, SOURCE_QUENCH, 0))
      await flow.collect(10)
      flow.acknowledge(2920)
      const count = (await flow.collect(20)).length
      p.check(count >= 20, `${count} segments in the second flight`)
    },
  },
  {
    id: 'RFC 5927 §4.1',
    level: 'SHOULD',
    rfc: 'RFC 5927 §4.1',
    text: 'An error about a number that is not in flight, or another connection, is ignored',
    run: async (p: Probe) => {
      const flow = await sending(p)
      await flow.collect(5)
      p.sendFrames(
        errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { seq: 1_000_000, mtu: 600 }),
        errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { seq: -1_000_000, mtu: 600 }),
        errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { port: flow.port ^ 1, mtu: 600 }),
      )
      flow.send('.')
      const sizes = (await flow.collect(20)).map(({ len }) => len)
      p.check(
        sizes.length > 0 && sizes.every(len => len > 560),
        `segments of ${new Set(sizes).size} sizes`,
      )
    },
  },
  {
    id: 'RFC 5461 §4',
    level: 'MAY',
    rfc: 'RFC 5461 §4, RFC 9293 §3.9.2.2',
    text: 'An error about the SYN-ACK does not end the attempt',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S')
      await flow.expect('S.')
      p.sendFrames(errorAbout(flow, UNREACHABLE, 1, { seq: 0 }))
      await p.pass(5)
      flow.send('.')
      await flow.alive()
    },
    deviates: {
      linux: 'forgets a half-open connection when host or network unreachable comes for it',
    },
  },
]

const PATH_MTU: readonly Requirement[] = [
  {
    id: 'RFC 1191 §6.3',
    level: 'MUST',
    rfc: 'RFC 1191 §3, §6.3',
    text: 'Fragmentation needed: what was too large is sent again at once, in segments that fit',
    run: async (p: Probe) => {
      const flow = await sending(p)
      await flow.collect(5)
      p.sendFrames(errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { mtu: 1280 }))
      const again = await flow.find('.', { seq: 1, len: 1240 }, 150)
      p.equal(again.len, 1240, 'the size')
      flow.send('.', { ack: 14_601 })
      const sizes = (await flow.collect(20)).map(({ len }) => len)
      p.check(
        sizes.every(len => len <= 1240),
        'all that follows fits',
      )
    },
  },
  {
    id: 'RFC 1191 §5',
    level: 'SHOULD',
    rfc: 'RFC 1191 §3, §5, §7.1',
    text: 'Absurd MTUs (0, 1, 68, more than ours) are clamped or ignored',
    run: async (p: Probe) => {
      const flow = await sending(p)
      await flow.collect(5)
      for (const mtu of [0, 1, 20, 40, 68, 9000, 65535]) {
        p.sendFrames(errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { mtu }))
        await p.pass(2)
      }
      flow.send('.')
      const sizes = (await flow.collect(50)).filter(({ len }) => len > 0).map(({ len }) => len)
      p.check(sizes.length > 0, 'sending goes on')
      p.check(Math.max(...sizes) <= 1460 && sizes[0] >= 500, `segments of ${sizes[0]}`)
    },
  },
  {
    id: 'RFC 1191 §6.3 (larger again)',
    level: 'SHOULD',
    rfc: 'RFC 1191 §6.3',
    text: 'After ten minutes a larger MTU is tried again',
    run: async (p: Probe) => {
      const flow = await sending(p)
      p.sendFrames(errorAbout(flow, UNREACHABLE, FRAGMENTATION_NEEDED, { mtu: 1280 }))
      await flow.find('.', { seq: 1, len: 1240 }, 150)
      for (let i = 0; i < 30; i++) {
        flow.send('.')
        await flow.collect(20)
      }
      await p.pass(660_000)
      flow.app?.write(20_000)
      await p.pass(50)
      flow.send('.')
      flow.app?.write(20_000)
      await flow.find('.', { len: 1460 }, 2000)
    },
    notOnLinux: 'too slow: ten minutes (net.ipv4.route.mtu_expires)',
  },
  {
    id: 'RFC 4821, RFC 8899',
    level: 'SHOULD',
    rfc: 'RFC 4821 §7.5, §7.6.3',
    text: 'A black hole that swallows large packets and says nothing is found: segments get smaller',
    setup: { sysctl: { 'net.ipv4.tcp_mtu_probing': '1' } },
    long: true,
    run: async (p: Probe) => {
      const flow = await p.open({ mss: 1460 })
      flow.app?.write(20_000)
      const deadline = p.nowMs + 40_000
      for (;;) {
        const segment = await flow.nextSegment(Math.max(0, deadline - p.nowMs))
        if (segment === undefined) p.fail('still full segments after 40 s')
        if (segment.len > 0 && segment.len <= 1300) break
      }
    },
  },
]

export const ICMP: Section = {
  title: 'ICMP and the path’s MTU',
  requirements: [...ECHO, ...ERRORS, ...PATH_MTU],
}
