/**
 * RFC 9293 §3.8.3 to §3.8.5, §3.9: failures, keep-alives, urgent data, and what applications ask.
 */
import type { Requirement, Section } from '../requirement.ts'
import type { Probe } from '../script.ts'

const KEEP_ALIVES: readonly Requirement[] = [
  {
    id: 'MUST-25, MAY-5',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.4',
    text: 'Keep-alives are off unless asked for: an idle connection is silent for ten hours',
    run: async (p: Probe) => {
      const flow = await p.open()
      await flow.silence(36_000_000)
      await flow.alive()
    },
    notOnLinux: 'too slow: ten hours; SO_KEEPALIVE is off unless set',
  },
  {
    id: 'MUST-24, MUST-26, MUST-27, MUST-28, MUST-29, SHLD-12, MAY-6',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.4',
    text: 'Keep-alives can be asked for, come only on an idle connection, at an interval that can be set, without data, and one lost ACK ends nothing',
    tests: [
      'packages/libtcpip/test/keepAlive.test.ts: without being asked for there are none (MUST-25)',
      'packages/libtcpip/test/keepAlive.test.ts: two hours by default (MUST-28), then nine, 75 s apart, then the end',
      'packages/libtcpip/test/keepAlive.test.ts: a peer that answers, though some answers are lost, stays (MUST-26)',
      'packages/libtcpip/test/keepAlive.test.ts: what is heard puts it off (MUST-27)',
    ],
  },
]

const FAILURES: readonly Requirement[] = [
  {
    id: 'MUST-20, SHLD-10, SHLD-11',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.3',
    text: 'Without any ACK data is repeated at least three times, and for at least 100 s, then the connection is given up',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.write(1000)
      await flow.expect('P.', { len: 1000 })
      const start = p.nowMs
      let count = 0
      let last = start
      for (
        let segment = await flow.nextSegment(700_000);
        segment;
        segment = await flow.nextSegment(700_000)
      ) {
        if (segment.flags.includes('R')) break
        count++
        last = segment.atMs
      }
      p.check(count >= 3, `${count} retransmissions`)
      p.check(last - start >= 100_000, `the last after ${(last - start) / 1000} s`)
      p.equal(p.target.openConnections(), 0, 'connections left')
    },
    notOnLinux: 'too slow: fifteen minutes (net.ipv4.tcp_retries2)',
    tests: [
      'packages/libtcpip/test/retransmission.test.ts: back-off ends at 60 s, and after ten repetitions the connection is aborted',
    ],
  },
  {
    id: 'MUST-21, SHLD-9, SHLD-20',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.3, §3.9.1.8',
    text: 'The limit can be set, and the application hears of the end',
    setup: { tcp: { maxRetries: 3 } },
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.write(100)
      await flow.expect('P.')
      for (let i = 0; i < 3; i++) await flow.expect('P.', { seq: 1 }, 30_000)
      await flow.until(() => flow.app!.events.includes('closed'), 60_000, 'the application hears')
    },
    notOnLinux: 'its limit is TCP_USER_TIMEOUT, which node:net cannot set',
  },
  {
    id: 'MUST-22, MUST-23',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.3',
    text: 'A SYN is repeated for at least three minutes',
    notApplicable:
      'a server sends no SYN; its SYN-ACK is repeated for 63 s, as Linux does (row RFC 6298 §5.7), since the client’s SYN makes it come again for as long as the client tries',
  },
]

const URGENT: readonly Requirement[] = [
  {
    id: 'MUST-30, MUST-31, MUST-62',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.5',
    text: 'Urgent data is delivered in line, whatever the urgent pointer says',
    run: async (p: Probe) => {
      const flow = await p.open()
      for (const [i, urgent] of [1, 5, 10, 200, 65535, 0].entries()) {
        flow.send('PU.', { data: 10, urgent })
        await flow.find('.', { ack: 11 + 10 * i })
      }
      await flow.until(() => flow.app?.received.length === 60, 500, 'all of it goes up')
    },
    deviates: {
      linux:
        'takes the urgent octet out of line unless SO_OOBINLINE is set, so that of each segment a byte is missing',
    },
  },
  {
    id: 'MUST-32, MUST-33, SHLD-13',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.5',
    text: 'The application can learn of urgent data',
    deviates: {
      ours: 'the application is HTTP, which has no urgent data; new applications should not use it (SHLD-13, RFC 6093 §5), and so it is in line and not announced',
    },
  },
]

const INTERFACE: readonly Requirement[] = [
  {
    id: 'MUST-48, SHLD-21, SHLD-22, SHLD-23, MAY-9',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.1.4, §3.9.2',
    text: 'The Diffserv field of what is sent can be set by the application',
    deviates: {
      ours: 'it is 0 on all packets: a web server behind one link has no use for another, and templates keep a constant header',
    },
  },
  {
    id: 'MUST-49',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.2',
    text: 'The time to live is configurable, and 64 unless set',
    setup: { tcp: { ttl: 33 }, sysctl: { 'net.ipv4.ip_default_ttl': '33' } },
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.write(10)
      const data = await flow.expect('P.', { len: 10 })
      p.equal(data.seen.ip?.ttl, 33, 'TTL')
    },
  },
  {
    id: 'MUST-50, MAY-10, MAY-11',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.2',
    text: 'IP options that TCP does not understand are ignored',
    run: async (p: Probe) => {
      const recordRoute = Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0)
      const timestamp = Uint8Array.of(68, 8, 5, 0, 0, 0, 0, 0)
      const unknown = Uint8Array.of(0x5e, 4, 1, 2)
      for (const options of [recordRoute, timestamp, unknown, Uint8Array.of(1, 1, 1, 0)]) {
        const flow = p.flow()
        flow.send('S', { ip: { options } })
        await flow.expect('S.')
        flow.send('.')
        flow.send('P.', { data: 5, ip: { options } })
        await flow.find('.', { ack: 6 })
      }
    },
  },
  {
    id: 'MUST-51, MUST-52, MUST-53, SHLD-24',
    level: 'MUST',
    rfc: 'RFC 9293 §3.9.2.1',
    text: 'A packet with a source route that ends here is taken, and answered by the way it came',
    run: async (p: Probe) => {
      for (const kind of [131, 137]) {
        const flow = p.flow()
        const route = [...p.target.self.ipv4.split('.').map(Number)]
        flow.send('S', { ip: { options: Uint8Array.of(kind, 7, 8, ...route, 0) } })
        await flow.expect('S.', {}, 30)
      }
    },
    deviates: {
      ours: 'a packet with a source route is dropped and counted, as everywhere today (RFC 7126 §4.3, §4.4)',
      linux: 'drops it unless net.ipv4.conf.*.accept_source_route is set',
    },
  },
  {
    id: 'MAY-4',
    level: 'MAY',
    rfc: 'RFC 9293 §3.8.1',
    text: 'A retransmission may have the IP identification of the first transmission',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.write(100)
      const first = await flow.expect('P.', { len: 100 })
      const second = await flow.expect('P.', { len: 100 }, 2000)
      for (const { seen } of [first, second]) p.check(!!((seen.ip?.fragment ?? 0) & 0x4000), 'DF')
    },
  },
  {
    id: 'MAY-14, MAY-18',
    level: 'MAY',
    rfc: 'RFC 9293 §3.9.1.7, §3.8.2',
    text: 'A FLUSH call; other congestion controls',
    notApplicable: 'no send buffer that could be flushed; CUBIC is in the section on congestion',
  },
]

export const SERVICE: Section = {
  title: 'Failures, keep-alives, urgent data, the interface above and below',
  requirements: [...FAILURES, ...KEEP_ALIVES, ...URGENT, ...INTERFACE],
}
