/** RFC 7323, 3168, 4987, 6191, 7413, 2385, 8311, 9768: options and extensions. */
import type { Requirement, Section } from '../requirement.ts'
import {
  type Flow,
  hasSackOk,
  mss,
  type Probe,
  type Segment,
  sackOk,
  timestamps,
  timestampsOf,
  wscale,
  wscaleOf,
} from '../script.ts'

const RATE_LIMIT_MS = 550
const ECT0 = 2
const ECT1 = 1
const CE = 3

const hasTimestamps = (segment: Segment): boolean => timestampsOf(segment) !== undefined

const WINDOW_SCALE: readonly Requirement[] = [
  {
    id: 'RFC 7323 §2.2',
    level: 'MUST',
    rfc: 'RFC 7323 §2.2',
    text: 'Window scale is answered only if it was offered, with at most 14',
    run: async (p: Probe) => {
      p.equal(wscaleOf(await p.flow().shake({})), undefined, 'unasked')
      const shift = wscaleOf(await p.flow().shake({ wscale: 7 }))
      p.check(shift !== undefined && shift <= 14, `a shift of ${shift}`)
    },
  },
  {
    id: 'RFC 7323 §2.3',
    level: 'MUST',
    rfc: 'RFC 7323 §2.3',
    text: 'A shift beyond 14 counts as 14',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S', { options: [...mss(1000), ...wscale(15)] })
      await flow.expect('S.')
      // 1 << 14 allows sixteen segments of 1000, 1 << 15 would allow thirty-two.
      flow.send('.', { win: 1 })
      const app = await flow.accepted()
      app.write(100_000)
      const before = await flow.collect(20)
      p.equal(before.length, 10, 'the first flight')
      flow.send('.', { win: 1 })
      const bytes = (await flow.collect(20)).reduce((sum, { len }) => sum + len, 0)
      p.check(bytes >= 16_000 && bytes <= 16_384, `${bytes} bytes in a window of 1 << 14`)
    },
  },
  {
    id: 'RFC 7323 §2.2 (SYN)',
    level: 'MUST',
    rfc: 'RFC 7323 §2.2',
    text: 'The window of a SYN is not scaled, that of every other segment is',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S', { options: [...mss(1000), ...wscale(10)], win: 3000 })
      await flow.expect('S.')
      flow.send('.', { win: 8 })
      const app = await flow.accepted()
      app.write(50_000)
      const bytes = (await flow.collect(20)).reduce((sum, { len }) => sum + len, 0)
      p.equal(bytes, 8000, 'bytes in a window of 8 << 10')
    },
  },
]

const TIMESTAMPS: readonly Requirement[] = [
  {
    id: 'RFC 7323 §3.2',
    level: 'MUST',
    rfc: 'RFC 7323 §3.2',
    text: 'Timestamps are sent if they were offered, then in every segment but RST',
    run: async (p: Probe) => {
      p.check(!hasTimestamps(await p.flow().shake({})), 'unasked, none')
      const flow = p.flow()
      const synAck = await flow.shake({ ts: 5000 })
      p.equal(timestampsOf(synAck)?.[1], 5000, 'TSecr of the SYN-ACK')
      const app = await flow.accepted()
      app.write(2000)
      flow.send('P.', { data: 10 })
      app.close()
      const segments = await flow.collect(50)
      p.check(segments.length >= 2 && segments.every(hasTimestamps), 'on all segments')
    },
  },
  {
    id: 'RFC 7323 §2.2, §3.2 (alone)',
    level: 'MUST',
    rfc: 'RFC 7323 §2.2, §3.2',
    text: 'Window scale and timestamps are agreed on independently of each other',
    run: async (p: Probe) => {
      const scaled = await p.flow().shake({ wscale: 4 })
      p.check(wscaleOf(scaled) !== undefined && !hasTimestamps(scaled), 'scale alone')
      const stamped = await p.flow().shake({ ts: 1 })
      p.check(wscaleOf(stamped) === undefined && hasTimestamps(stamped), 'timestamps alone')
      const all = p.flow()
      const synAck = await all.shake({ ts: 1, wscale: 2, sack: true })
      p.check(hasTimestamps(synAck) && hasSackOk(synAck), 'all of them')
    },
  },
  {
    id: 'RFC 7323 §4.1 (clock)',
    level: 'MUST',
    rfc: 'RFC 7323 §5.4',
    text: 'The timestamp clock ticks between once a second and once a millisecond',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 1 })
      const value = async (): Promise<[number, number]> => {
        flow.app?.write(10)
        const segment = await flow.expect('P.')
        flow.send('.')
        return [timestampsOf(segment)?.[0] ?? 0, segment.atMs]
      }
      const [first, before] = await value()
      await p.pass(2000)
      const [second, after] = await value()
      const ticks = (second - first) | 0
      const seconds = (after - before) / 1000
      p.check(ticks >= 2 && ticks <= 1050 * seconds, `${ticks} ticks in ${seconds} s`)
    },
  },
  {
    id: 'RFC 7323 §4.3',
    level: 'MUST',
    rfc: 'RFC 7323 §4.3',
    text: 'What is echoed is the timestamp of the segment that moved the window, not of one out of order',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 1000 })
      flow.send('P.', { data: 100, ts: 2000 })
      p.equal(timestampsOf(await flow.find('.', { ack: 101 }))?.[1], 2000, 'TSecr')
      flow.send('P.', { seq: 1101, data: 100, ts: 3000 })
      p.equal(timestampsOf(await flow.find('.', { ack: 101 }))?.[1], 2000, 'TSecr after a gap')
      flow.send('P.', { seq: 101, data: 1000, ts: 2500 })
      p.equal(timestampsOf(await flow.find('.', { ack: 1201 }))?.[1], 2500, 'TSecr of the filler')
    },
  },
  {
    id: 'RFC 7323 §5.3',
    level: 'MUST',
    rfc: 'RFC 7323 §5.3 R1',
    text: 'PAWS: a segment with an old timestamp is not taken, and is answered with an ACK',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 100_000 })
      flow.send('P.', { data: 10, ts: 100_100 })
      await flow.find('.', { ack: 11 })
      await p.pass(RATE_LIMIT_MS)
      flow.send('P.', { seq: 11, data: 10, ts: 90_000 })
      await flow.find('.', { ack: 11 })
      await p.pass(20)
      p.equal(flow.app?.received.length, 10, 'bytes that the application got')
    },
  },
  {
    id: 'RFC 7323 §5.3 (RST)',
    level: 'MUST',
    rfc: 'RFC 7323 §5.2, §3.2',
    text: 'An RST counts without a timestamp, and with an old one',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 100_000 })
      flow.send('R')
      await flow.gone()
    },
  },
  {
    id: 'RFC 7323 §3.2 (missing)',
    level: 'SHOULD',
    rfc: 'RFC 7323 §3.2',
    text: 'Once agreed on, a segment without timestamps is dropped',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 100_000 })
      flow.send('P.', { data: 10, timestamps: false })
      await p.pass(300)
      p.equal(flow.app?.received.length, 0, 'bytes that the application got')
    },
    deviates: {
      linux: 'takes the segment: middleboxes are known to strip options',
    },
  },
  {
    id: 'RFC 7323 §5.5',
    level: 'MUST',
    rfc: 'RFC 7323 §5.5',
    text: 'After 24 idle days the last timestamp no longer counts',
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 0x7fff0000 })
      flow.send('P.', { data: 10 })
      await flow.find('.', { ack: 11 })
      await p.pass(25 * 86_400_000)
      flow.send('P.', { data: 10, ts: 0x7ffe0000 })
      await flow.find('.', { ack: 21 })
    },
    notOnLinux: 'too slow: twenty-five days',
  },
  {
    id: 'RFC 7323 §5.4 (offset)',
    level: 'SHOULD',
    rfc: 'RFC 7323 §7.1',
    text: 'Timestamps tell nothing of the machine’s up-time: connections begin at different values',
    run: async (p: Probe) => {
      const peers = [1, 7, 9].map(last => p.target.peer.ipv4.replace(/\d+$/, `${last}`))
      const values: number[] = []
      for (const src of peers) {
        const flow = p.flow({ src })
        values.push(timestampsOf(await flow.shake({ ts: 1 }))?.[0] ?? 0)
      }
      const near = values.filter(value => Math.abs((value - values[0]) | 0) < 1_000_000)
      p.check(near.length < 3, `values ${values}`)
    },
  },
  {
    id: 'unaligned timestamps',
    level: 'MUST',
    rfc: 'RFC 7323 Appendix A, RFC 9293 §3.1',
    text: 'Timestamps count wherever they lie in the header',
    run: async (p: Probe) => {
      const flow = p.flow()
      const stamp = timestamps(7777, 0).slice(2)
      flow.send('S', { options: [...sackOk.slice(2), 1, ...mss(1460), ...stamp] })
      const synAck = await flow.expect('S.')
      p.equal(timestampsOf(synAck)?.[1], 7777, 'TSecr')
    },
  },
]

/** Opens with ECN agreed on, or not. */
async function ecnFlow(p: Probe): Promise<{ flow: Flow; synAck: Segment }> {
  const flow = p.flow()
  flow.send('SEW', { options: [...mss(1000), ...wscale(7)], win: 65535 })
  const synAck = await flow.nextSegment(1000)
  if (synAck === undefined) p.fail('no SYN-ACK')
  return { flow, synAck }
}

const ecnBits = (segment: Segment): number => (segment.seen.ip?.tos ?? 0) & 3

const ECN: readonly Requirement[] = [
  {
    id: 'SHLD-8, RFC 3168 §6.1.1',
    level: 'SHOULD',
    rfc: 'RFC 3168 §6.1.1',
    text: 'ECN: a SYN with ECE and CWR is answered with ECE alone, without an ECN codepoint',
    run: async (p: Probe) => {
      const { synAck } = await ecnFlow(p)
      p.equal([...synAck.flags].sort().join(''), '.ES', 'flags')
      p.equal(ecnBits(synAck), 0, 'the ECN field of the SYN-ACK')
    },
  },
  {
    id: 'RFC 3168 §6.1.1 (off)',
    level: 'MUST',
    rfc: 'RFC 3168 §6.1.1',
    text: 'A SYN that does not ask for ECN gets none: no ECE, no ECT',
    run: async (p: Probe) => {
      for (const flags of ['S', 'SE', 'SW']) {
        const flow = p.flow()
        flow.send(flags, { options: mss(1000) })
        const synAck = await flow.nextSegment(1000)
        p.check(synAck !== undefined && !/[EW]/.test(synAck.flags), `${flags}: ${synAck?.flags}`)
        flow.send('.')
        const app = await flow.accepted()
        app.write(10)
        p.equal(ecnBits(await flow.expect('P.', { len: 10 })), 0, 'the ECN field')
      }
    },
  },
  {
    id: 'RFC 3168 §6.1.2, §6.1.4, §6.1.5',
    level: 'MUST',
    rfc: 'RFC 3168 §6.1.2 to §6.1.6',
    text: 'ECT(0) is on new data only: not on pure ACKs, retransmissions or probes',
    run: async (p: Probe) => {
      const { flow } = await ecnFlow(p)
      flow.send('.', { win: 500 })
      const app = await flow.accepted()
      app.write(100)
      const fresh = await flow.expect('P.', { len: 100 })
      p.equal(ecnBits(fresh), ECT0, 'new data')
      const again = await flow.expect('P.', { len: 100 }, 3000)
      p.equal(ecnBits(again), 0, 'a retransmission')
      flow.send('.', { win: 500 })
      flow.send('P.', { data: 5 })
      p.equal(ecnBits(await flow.find('.', { ack: 6 })), 0, 'a pure ACK')
    },
  },
  {
    id: 'RFC 3168 §6.1.3',
    level: 'MUST',
    rfc: 'RFC 3168 §6.1.3',
    text: 'After a CE mark every ACK has ECE, until the peer says CWR',
    run: async (p: Probe) => {
      const { flow } = await ecnFlow(p)
      flow.send('.')
      await flow.accepted()
      const exchange = async (flags: string, tos: number): Promise<string> => {
        const end = flow.next + 1000
        flow.send(flags, { data: 1000, ip: { tos } })
        for (;;) {
          const ack = await flow.nextSegment(1000)
          if (ack === undefined) p.fail('no ACK')
          if (ack.ack === end) return ack.flags
        }
      }
      p.check(!(await exchange('P.', ECT0)).includes('E'), 'no ECE at first')
      p.check((await exchange('P.', CE)).includes('E'), 'ECE after a mark')
      p.check((await exchange('P.', ECT0)).includes('E'), 'ECE again')
      p.check(!(await exchange('PW.', ECT0)).includes('E'), 'no ECE after CWR')
      p.check((await exchange('PW.', CE)).includes('E'), 'a mark on the segment with CWR counts')
    },
  },
  {
    id: 'RFC 3168 §6.1.2 (ECE)',
    level: 'MUST',
    rfc: 'RFC 3168 §6.1.2',
    text: 'ECE from the peer reduces the window once a round trip, and the next new data has CWR',
    run: async (p: Probe) => {
      const { flow } = await ecnFlow(p)
      flow.send('.', { win: 8000 })
      const app = await flow.accepted()
      app.write(400_000)
      await flow.collect(20)
      flow.send('.', { win: 8000 })
      await flow.collect(20)
      // Twenty are in flight; each ACK says that one was marked.
      const from = flow.received - 20_000
      const replies: Segment[] = []
      for (let i = 1; i <= 20; i++) {
        flow.send('E.', { ack: from + 1000 * i, win: 8000 })
        replies.push(...(await flow.collect(1)))
      }
      replies.push(...(await flow.collect(10)))
      p.check(replies.length >= 5, `${replies.length} new segments`)
      p.check(replies.length <= 16, `${replies.length} new segments for 20 that left`)
      p.check(replies[0].flags.includes('W'), 'CWR on the first')
      p.equal(replies.filter(({ flags }) => flags.includes('W')).length, 1, 'segments with CWR')
    },
  },
  {
    id: 'RFC 3168 §6.1.1 (closed port)',
    level: 'MUST',
    rfc: 'RFC 3168 §6.1.1.1',
    text: 'An ECN-setup SYN to a closed port is answered with RST like any other',
    run: async (p: Probe) => {
      const flow = p.flow({ dstPort: 81 })
      flow.send('SEW')
      await flow.expect('R.', { ack: 1 })
    },
  },
  {
    id: 'RFC 8311, RFC 9331',
    level: 'MUST',
    rfc: 'RFC 8311 §4.2, RFC 9331 §4.1',
    text: 'ECT(1) is never sent, and data that arrives with it is taken like any other',
    run: async (p: Probe) => {
      const { flow } = await ecnFlow(p)
      flow.send('.')
      const app = await flow.accepted()
      flow.send('P.', { data: 10, ip: { tos: ECT1 } })
      app.write(5000)
      const segments = await flow.collect(100)
      p.check(segments.length > 3, 'segments came')
      for (const segment of segments) p.check(ecnBits(segment) !== ECT1, 'no ECT(1)')
      await flow.until(() => app.received.length === 10, 1000, 'the data goes up')
    },
  },
  {
    id: 'RFC 9768',
    level: 'SHOULD',
    rfc: 'RFC 9768 §3.1.2',
    text: 'A SYN that asks for Accurate ECN gets an answer that is valid for RFC 3168',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('SEW', { reserved: 1, options: mss(1000) })
      const synAck = await flow.nextSegment(1000)
      if (synAck === undefined) p.fail('no SYN-ACK')
      p.equal([...synAck.flags].sort().join(''), '.ES', 'flags')
      p.equal((synAck.seen.tcp?.reserved ?? 0) & 1, 0, 'AE')
      flow.send('.')
      await flow.accepted()
    },
  },
]

const OTHERS: readonly Requirement[] = [
  {
    id: 'RFC 7413',
    level: 'MAY',
    rfc: 'RFC 7413 §4.1',
    text: 'TCP Fast Open is not offered: a SYN with its option opens an ordinary connection',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S', { options: [34, 2, 1, 1, ...mss(1000)], data: 0 })
      const synAck = await flow.expect('S.', { ack: 1 })
      p.check(!synAck.options.some(({ kind }) => kind === 34), 'no cookie')
      flow.send('.')
      await flow.alive()
    },
  },
  {
    id: 'RFC 2385, RFC 5925',
    level: 'MAY',
    rfc: 'RFC 2385 §4, RFC 5925 §7.3',
    text: 'MD5 and AO are not spoken: a SYN with either does no harm',
    run: async (p: Probe) => {
      for (const [name, options] of [
        ['MD5', [19, 18, ...new Array<number>(16).fill(7), 1, 1]],
        ['AO', [29, 16, 1, 1, ...new Array<number>(12).fill(7)]],
      ] as const) {
        const flow = p.flow()
        flow.send('S', { options })
        const [answer] = await flow.collect(50)
        p.fact(`${name} is answered with`, answer?.flags ?? 'nothing')
      }
      const flow = await p.open()
      await flow.alive()
    },
    differs:
      'Linux drops a SYN with an MD5 signature when it has no key for the peer; to us it is an option like any unknown one (MUST-6), and the client will find the answer unsigned',
  },
  {
    id: 'RFC 6994',
    level: 'MUST',
    rfc: 'RFC 6994 §3',
    text: 'Experimental options (253, 254) are passed over',
    run: async (p: Probe) => {
      const flow = p.flow()
      flow.send('S', { options: [253, 4, 0xf9, 0x89, 254, 6, 1, 2, 3, 4, 1, 1, ...mss(900)] })
      await flow.expect('S.')
      flow.send('.')
      const app = await flow.accepted()
      app.write(1800)
      await flow.expect('.', { len: 900 })
    },
  },
]

export const EXTENSIONS: Section = {
  title: 'Options and extensions',
  requirements: [...WINDOW_SCALE, ...TIMESTAMPS, ...ECN, ...OTHERS],
}
