/** RFC 826, 1122 §2.3, 5227 and Ethernet itself. */
import {
  address,
  addressText,
  BROADCAST_MAC,
  concat,
  ETH_IPV4,
  ethernet,
  ip,
  mac,
  PROTO_TCP,
  tcp,
  u16,
} from '../frames.ts'
import type { Requirement, Section } from '../requirement.ts'
import { arpFrame, type Probe } from '../script.ts'
import type { Seen } from '../seen.ts'

const REPLY = 2
const OTHER_MAC = mac('02:00:00:00:77:77')
const isReply = (seen: Seen): boolean => seen.arp?.operation === REPLY
const isRequestFor =
  (ipv4: string) =>
  (seen: Seen): boolean =>
    seen.arp?.operation === 1 && addressText(seen.arp.targetIp) === ipv4

const ARP: readonly Requirement[] = [
  {
    id: 'RFC 826',
    level: 'MUST',
    rfc: 'RFC 826',
    text: 'A request for our address is answered to who asked, in a unicast frame',
    run: async (p: Probe) => {
      const { self, peer } = p.target
      p.sendFrames(arpFrame(p.target, {}))
      const reply = await p.take(isReply, 500)
      if (reply?.arp === undefined) p.fail('no reply')
      p.equal([...reply.dstMac], [...peer.mac], 'the frame’s destination')
      p.equal([...reply.arp.senderMac], [...self.mac], 'the hardware address')
      p.equal(addressText(reply.arp.senderIp), self.ipv4, 'the address')
      p.equal(addressText(reply.arp.targetIp), peer.ipv4, 'the target')
    },
  },
  {
    id: 'RFC 826 (others)',
    level: 'MUST',
    rfc: 'RFC 826',
    text: 'Requests for other addresses, replies and unknown operations are not answered',
    run: async (p: Probe) => {
      const other = address(p.target.self.ipv4.replace(/\d+$/, '77'))
      p.sendFrames(
        arpFrame(p.target, { targetIp: other }),
        ...[2, 3, 4, 5, 8, 9, 255].map(operation => arpFrame(p.target, { operation })),
      )
      p.check((await p.take(isReply, 100)) === undefined, 'silence')
    },
  },
  {
    id: 'RFC 826 (fields)',
    level: 'MUST',
    rfc: 'RFC 826',
    text: 'Packets with other types or lengths of addresses, or cut short, are dropped in silence',
    run: async (p: Probe) => {
      const set =
        (at: number, value: number) =>
        (packet: Uint8Array): void => {
          packet[at] = value
        }
      const frames = [
        arpFrame(p.target, {}, { spoil: set(1, 15) }),
        arpFrame(p.target, {}, { spoil: set(2, 0x86) }),
        arpFrame(p.target, {}, { spoil: set(4, 7) }),
        arpFrame(p.target, {}, { spoil: set(5, 16) }),
        arpFrame(p.target, {}).subarray(0, 34),
        arpFrame(p.target, {}).subarray(0, 14),
      ]
      p.sendFrames(...frames)
      p.check((await p.take(isReply, 100)) === undefined, 'silence')
    },
  },
  {
    id: 'RFC 826 (merge)',
    level: 'MUST',
    rfc: 'RFC 826',
    text: 'An entry that exists is updated by whatever the sender says, also to others',
    run: async (p: Probe) => {
      const flow = await p.open()
      const other = address(p.target.self.ipv4.replace(/\d+$/, '77'))
      await p.pass(1500)
      p.sendFrames(arpFrame(p.target, { senderMac: OTHER_MAC, targetIp: other }))
      await p.pass(5)
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal([...data.seen.dstMac], [...OTHER_MAC], 'the hardware address')
    },
  },
  {
    id: 'RFC 826 (moved)',
    level: 'MUST',
    rfc: 'RFC 826, RFC 5227 §3',
    text: 'When the peer announces a new hardware address, traffic moves to it',
    run: async (p: Probe) => {
      const flow = await p.open()
      await p.pass(1500)
      const announcement = { senderMac: OTHER_MAC, targetIp: address(p.target.peer.ipv4) }
      p.sendFrames(arpFrame(p.target, announcement))
      await p.pass(5)
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal([...data.seen.dstMac], [...OTHER_MAC], 'the hardware address')
    },
  },
  {
    id: 'ARP senders',
    level: 'SHOULD',
    rfc: 'RFC 1812 §3.3.2, RFC 5227 §2',
    text: 'A sender with a group hardware address, or our own address, teaches nothing',
    run: async (p: Probe) => {
      const flow = await p.open()
      await p.pass(1500)
      p.sendFrames(arpFrame(p.target, { senderMac: BROADCAST_MAC }))
      p.sendFrames(arpFrame(p.target, { senderMac: mac('01:00:5e:01:02:03') }))
      await p.pass(5)
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal([...data.seen.dstMac], [...p.target.peer.mac], 'the hardware address')
    },
    deviates: { linux: 'believes a sender whose hardware address is a group’s' },
  },
  {
    id: 'RFC 1122 §2.3.2.1',
    level: 'MUST',
    rfc: 'RFC 1122 §2.3.2.1',
    text: 'An address that does not answer is asked for once a second at most',
    setup: { stranger: true },
    long: true,
    run: async (p: Probe) => {
      p.answersNeighbours = false
      const stranger = p.target.self.ipv4.replace(/\d+$/, '50')
      let asked = 0
      const start = p.nowMs
      // A SYN every 100 ms: the answer finds nobody.
      for (let i = 0; i < 30; i++) {
        p.flow({ src: stranger }).send('S')
        await p.pass(100)
      }
      while ((await p.take(isRequestFor(stranger), 0)) !== undefined) asked++
      const seconds = (p.nowMs - start) / 1000
      p.check(asked >= 1, 'it is asked for')
      p.check(asked <= seconds + 1.5, `${asked} requests in ${seconds.toFixed(1)} s`)
    },
  },
  {
    id: 'RFC 1122 §2.3.2.2',
    level: 'SHOULD',
    rfc: 'RFC 1122 §2.3.2.2',
    text: 'The latest packet to an address being resolved is kept and sent when the answer comes',
    setup: { stranger: true },
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S')
      await flow.expect('S.', { ack: 1 }, 500)
    },
  },
  {
    id: 'RFC 1122 §2.3.2.2 (RST)',
    level: 'SHOULD',
    rfc: 'RFC 1122 §2.3.2.2',
    text: 'So is an RST to a stranger who came to a closed port',
    setup: { stranger: true },
    run: async (p: Probe) => {
      const flow = p.flow({ dstPort: 81 })
      flow.send('S')
      await flow.expect('R.', { ack: 1 }, 500)
    },
    deviates: {
      ours: 'an answer that belongs to no connection is left out while its address is being asked for; the client’s next SYN gets it. Nothing is kept for strangers (paper §2: bufferless)',
    },
  },
]

const CONFLICTS: readonly Requirement[] = [
  {
    id: 'RFC 5227 §1.1',
    level: 'MUST',
    rfc: 'RFC 5227 §1.1, §2.1.1',
    text: 'A probe for our address (sender 0.0.0.0) is answered',
    run: async (p: Probe) => {
      p.sendFrames(arpFrame(p.target, { senderIp: address('0.0.0.0') }))
      const reply = await p.take(isReply, 500)
      p.check(reply !== undefined, 'a reply')
    },
  },
  {
    id: 'RFC 5227 §2.4',
    level: 'MUST',
    rfc: 'RFC 5227 §2.4',
    text: 'Who claims our address is answered by one announcement in ten seconds at most',
    run: async (p: Probe) => {
      await p.pass(11_000)
      const claim = {
        senderMac: OTHER_MAC,
        senderIp: address(p.target.self.ipv4),
        targetIp: address(p.target.self.ipv4),
      }
      for (let i = 0; i < 5; i++) {
        p.sendFrames(arpFrame(p.target, claim))
        await p.pass(200)
      }
      let announced = 0
      const own = (seen: Seen): boolean =>
        seen.arp !== undefined &&
        addressText(seen.arp.senderIp) === p.target.self.ipv4 &&
        addressText(seen.arp.targetIp) === p.target.self.ipv4
      while ((await p.take(own, 0)) !== undefined) announced++
      p.equal(announced, 1, 'announcements')
      const flow = await p.open()
      await flow.alive()
    },
    notOnLinux: 'the kernel does no address conflict detection; that is left to daemons',
    tests: [
      'packages/libeth/test/arpConflict.test.ts: our address is defended, once in ten seconds at most',
    ],
  },
  {
    id: 'RFC 5227 §2.1.1, §2.3',
    level: 'MUST',
    rfc: 'RFC 5227 §2.1.1, §2.3',
    text: 'An address is probed for before it is used, and announced',
    tests: [
      'packages/libeth/test/arpConflict.test.ts: three probes, and when nobody has answered two announcements',
      'packages/libeth/test/arpConflict.test.ts: somebody who has our address, or probes for it too, keeps us from using it',
    ],
    deviates: {
      ours: 'probes are 250 ms apart, and the first is not delayed; on a TAP that we made ourselves, whose only neighbour is the kernel, there are none (docs/decisions.md)',
    },
  },
]

const ETHERNET: readonly Requirement[] = [
  {
    id: 'Ethernet destination',
    level: 'MUST',
    rfc: 'IEEE 802.3, RFC 1122 §2.3.3',
    text: 'A frame for another station is not ours',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S', { dstMac: OTHER_MAC })
      await flow.silence(50)
    },
  },
  {
    id: 'Ethernet types',
    level: 'MUST',
    rfc: 'IEEE 802.3, IEEE 802.1Q, RFC 1122 §2.3.3',
    text: 'VLAN tags, 802.3 lengths, unknown types and runts do no harm',
    run: async (p: Probe) => {
      const { self, peer } = p.target
      const route = { src: address(peer.ipv4), dst: address(self.ipv4) }
      const fields = { srcPort: 5, dstPort: 80, seq: 1, ack: 0, flags: 'S', win: 100 }
      const packet = ip({ ...route, protocol: PROTO_TCP }, tcp(route, fields))
      const frames = [0x8100, 0x88a8].map(type =>
        ethernet(self.mac, peer.mac, type, concat(u16(7), u16(ETH_IPV4), packet)),
      )
      for (const type of [40, 0x05dc, 0x05ff, 0x88cc, 0x9000]) {
        frames.push(ethernet(self.mac, peer.mac, type, packet))
      }
      p.sendFrames(...frames)
      for (const len of [14, 15, 20, 33]) {
        p.target.send(ethernet(self.mac, peer.mac, ETH_IPV4, packet).subarray(0, len))
      }
      const answer = await p.take(seen => seen.tcp?.dstPort === 5, 50)
      p.check(answer === undefined, 'no answer')
      const flow = await p.open()
      await flow.alive()
    },
  },
]

export const LINK: Section = {
  title: 'Link: ARP, address conflicts, Ethernet',
  requirements: [...ARP, ...CONFLICTS, ...ETHERNET],
}
