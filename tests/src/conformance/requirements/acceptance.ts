/** RFC 9293 §3.10.7.4 and RFC 5961: which segments count in a synchronized state. */
import type { Section } from '../requirement.ts'
import type { Probe } from '../script.ts'

/**
 * Linux answers a connection's bad segments at most this often (net.ipv4.tcp_invalid_ratelimit).
 */
const RATE_LIMIT_MS = 550

export const ACCEPTANCE: Section = {
  title: 'Acceptance of segments, blind attacks',
  requirements: [
    {
      id: '§3.10.7.4 window edges',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4, table 6',
      text: 'A segment outside the window is answered with an ACK and not taken',
      long: true,
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const [seq, len] of [
          [-10, 10],
          [-1000, 1],
          [100_000, 10],
          [0, 0],
          [-5000, 0],
          [200_000, 0],
        ] as const) {
          await p.pass(RATE_LIMIT_MS)
          flow.send('.', { seq, data: len })
          await flow.expect('.', { seq: 1, ack: 1 })
        }
        p.equal(flow.app?.received.length, 0, 'bytes that the application got')
        await flow.alive()
      },
      tests: [
        'packages/libtcpip/test/acceptability.test.ts: window 1000: 1 bytes at 1001: 0 taken',
        'packages/libtcpip/test/acceptability.test.ts: window 1000: 11 bytes at -9: 1 taken',
      ],
    },
    {
      id: '§3.10.7.4 trimming',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'Of a segment that overlaps what was received, only the new part is taken',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('P.', { data: 100 })
        await flow.expect('.', { ack: 101 })
        flow.send('P.', { seq: 51, data: 100 })
        await flow.expect('.', { ack: 151 })
        await flow.until(() => flow.app?.received.length === 150, 500, 'each byte once')
      },
    },
    {
      id: '§3.10.7.4 beyond the window',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'Of a segment that reaches beyond the window, only what fits is taken, and without its FIN',
      setup: { receiveBuffer: 2000 },
      run: async (p: Probe) => {
        const flow = await p.open()
        const app = flow.app!
        app.pause()
        flow.send('P.', { data: 1400 })
        await flow.expect('.', { ack: 1401 })
        flow.send('FP.', { data: 1400 })
        const ack = await flow.expect('.', { ack: 2001 })
        p.equal(ack.win, 0, 'the window')
      },
      notOnLinux: 'its windows count memory, not bytes: they cannot be made this small',
      tests: [
        'packages/libtcpip/test/acceptability.test.ts: window 1000: 1001 bytes and FIN at 1: 1000 taken',
      ],
    },
    {
      id: '§3.10.7.4 no ACK',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'A segment without ACK in a connection is dropped',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('P', { seq: 1, data: 10 })
        await flow.silence(200)
        p.equal(flow.app?.received.length, 0, 'bytes that the application got')
        flow.next = 1
        await flow.alive()
      },
    },
    {
      id: 'RFC 5961 §3.2',
      level: 'MUST',
      rfc: 'RFC 5961 §3.2',
      text: 'Only an RST with exactly the next number resets; one in the window is challenged, another ignored',
      long: true,
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const [seq, challenged] of [
          [2, true],
          [30_000, true],
          [0, false],
          [-1000, false],
          [200_000, false],
        ] as const) {
          await p.pass(RATE_LIMIT_MS)
          flow.send('R', { seq })
          if (challenged) await flow.expect('.', { seq: 1, ack: 1 })
          else await flow.silence(30)
        }
        await flow.alive()
        flow.send('R')
        await flow.gone()
      },
    },
    {
      id: 'RFC 5961 §4.2',
      level: 'MUST',
      rfc: 'RFC 5961 §4.2',
      text: 'A SYN in a connection is answered with a challenge ACK, whatever its number',
      long: true,
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const seq of [1, 0, 30_000, 200_000, -5]) {
          await p.pass(RATE_LIMIT_MS)
          flow.send('S', { seq })
          await flow.expect('.', { seq: 1, ack: 1 })
        }
        flow.next = 1
        await flow.alive()
      },
    },
    {
      id: 'RFC 5961 §5.2, MAY-12',
      level: 'MUST',
      rfc: 'RFC 5961 §5.2',
      text: 'Data with an ACK beyond SND.NXT or far below SND.UNA is not taken, and is answered with an ACK',
      long: true,
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.app?.write(1000)
        await flow.find('P.', { len: 1000 })
        flow.send('.')
        for (const ack of [5000, 2 ** 30, -(2 ** 30), -200_000]) {
          await p.pass(RATE_LIMIT_MS)
          flow.send('P.', { seq: 1, data: 10, ack })
          await flow.expect('.', { seq: 1001, ack: 1 })
        }
        p.equal(flow.app?.received.length, 0, 'bytes that the application got')
        flow.next = 1
        await flow.alive()
      },
    },
    {
      id: 'old ACK',
      level: 'MUST',
      rfc: 'RFC 5961 §5.2',
      text: 'An ACK that is old, but not older than the largest window, lets its data in',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.app?.write(3000)
        await flow.find('P.', {})
        flow.send('.')
        flow.send('P.', { data: 10, ack: 1 })
        await flow.expect('.', { ack: 11 })
      },
    },
    {
      id: 'RFC 5961 §7, §10',
      level: 'SHOULD',
      rfc: 'RFC 5961 §7, §10 (CVE-2016-5696)',
      text: 'Challenge ACKs are limited, per connection or by a secret number',
      run: async (p: Probe) => {
        const flow = await p.open()
        let answers = 0
        for (let i = 0; i < 50; i++) {
          flow.send('R', { seq: 1000 + i })
          answers += (await flow.collect(1)).length
        }
        answers += (await flow.collect(20)).length
        p.check(answers >= 1, 'the first is challenged')
        p.check(answers <= 20, `${answers} challenge ACKs for 50 resets in a tenth of a second`)
        // The limit of one connection says nothing to another.
        const other = await p.open()
        other.send('R', { seq: 1000 })
        await other.expect('.', { ack: 1 })
      },
    },
    {
      id: '§3.10.7.4 future ACK',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'An ACK of what was never sent is answered with an ACK',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('.', { ack: 100 })
        await flow.expect('.', { seq: 1, ack: 1 })
      },
    },
    {
      id: 'peer’s keep-alive',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.4',
      text: 'A keep-alive of the peer, with or without a byte, is answered',
      run: async (p: Probe) => {
        const flow = await p.open()
        await flow.alive()
        for (const data of [0, 1]) {
          await p.pass(RATE_LIMIT_MS)
          flow.send('.', { seq: 1, data })
          await flow.expect('.', { seq: 1, ack: 2 })
        }
      },
    },
  ],
}
