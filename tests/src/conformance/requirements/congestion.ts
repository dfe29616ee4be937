/** RFC 5681, 6928, 3465, 9438, 9406: how much may be in the network. */
import type { Section } from '../requirement.ts'
import type { Flow, Probe, Segment } from '../script.ts'

const MSS = 1000

/** A connection that always has something to send; segments of 1000 bytes, a large window. */
async function bulk(p: Probe, bytes = 4_000_000): Promise<Flow> {
  const flow = await p.open({ mss: MSS, wscale: 7, win: 8_000_000 })
  flow.app?.write(bytes)
  return flow
}

const WIN = 8_000_000 >> 7

/** Takes what comes in `ms`, acknowledges all of it, and returns how many new segments it was. */
async function round(flow: Flow, ms = 30): Promise<number> {
  const before = flow.acknowledged
  await flow.collect(ms)
  const count = (flow.received - before) / MSS
  flow.acknowledge(2 * MSS, { win: WIN })
  return count
}

const data = (segments: readonly Segment[]): number[] =>
  segments.filter(({ len }) => len > 0).map(({ seq }) => seq)

export const CONGESTION: Section = {
  title: 'Congestion control',
  requirements: [
    {
      id: 'RFC 6928 §2',
      level: 'MAY',
      rfc: 'RFC 6928 §2',
      text: 'The initial window is ten segments, and about 14600 bytes of large ones',
      run: async (p: Probe) => {
        for (const [mss, expected] of [
          [536, 10],
          [1000, 10],
          [1460, 10],
        ] as const) {
          const flow = await p.open({ mss })
          flow.app?.write(60_000)
          const count = (await flow.collect(30)).length
          p.equal(count, expected, `segments of ${mss} in the first flight`)
        }
      },
    },
    {
      id: 'RFC 6928 §2 (after loss)',
      level: 'MUST',
      rfc: 'RFC 6928 §2, RFC 5681 §3.1',
      text: 'If the SYN-ACK had to be repeated, the first flight is smaller: one segment',
      long: true,
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S', { options: [2, 4, 1000 >> 8, 1000 & 255] })
        await flow.expect('S.')
        await flow.expect('S.', {}, 2500)
        flow.send('.')
        const app = await flow.accepted()
        app.write(60_000)
        const count = (await flow.collect(30)).length
        p.fact('segments after a repeated SYN-ACK', count)
        p.check(count <= 1, `${count} segments`)
      },
      deviates: {
        linux:
          'keeps ten segments after one SYN-ACK was repeated, since most such time-outs are spurious',
      },
      differs: 'Linux sends ten, we send one',
    },
    {
      id: 'MUST-19, RFC 5681 §3.1',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.2, RFC 5681 §3.1',
      text: 'Slow start: 10, 20, 40 segments in the first round trips',
      run: async (p: Probe) => {
        const flow = await bulk(p)
        const counts = [await round(flow), await round(flow), await round(flow)]
        p.equal(counts, [10, 20, 40], 'segments a round trip')
      },
    },
    {
      id: 'RFC 5681 §3.1 (time-out)',
      level: 'MUST',
      rfc: 'RFC 5681 §3.1, eq. 4',
      text: 'After a time-out one segment is sent, then slow start up to half the flight',
      run: async (p: Probe) => {
        const flow = await bulk(p)
        await round(flow)
        await flow.until(() => flow.received === 30_001, 150, 'the second flight is there')
        await flow.collect(0)
        await flow.find('.', { seq: 10_001 }, 3000)
        p.equal(data(await flow.collect(20)), [], 'sent beside the repeated segment')
        flow.send('.', { ack: 11_001, win: WIN })
        const next = data(await flow.collect(20))
        p.check(next.length >= 1 && next.length <= 3, `then ${next.length} segments`)
      },
      tests: [
        'packages/libtcpip/test/retransmission.test.ts: after a time-out: one segment, two new ones in doubt (F-RTO), then slow start over what was lost',
        'packages/libtcpip/test/rtt.test.ts: NewReno: half the flight on loss, two segments at least; one segment after a time-out',
      ],
    },
    {
      id: 'RFC 5681 §4.1',
      level: 'SHOULD',
      rfc: 'RFC 5681 §4.1',
      text: 'After an idle time of more than an RTO the window is at most the initial one',
      run: async (p: Probe) => {
        const flow = await p.open({ mss: MSS, wscale: 7, win: 8_000_000 })
        flow.app?.write(70_000)
        for (let i = 0; i < 4; i++) await round(flow)
        p.equal(flow.received, 70_001, 'all of it came')
        await p.pass(2000)
        flow.app?.write(100_000)
        const count = (await flow.collect(30)).length
        p.check(count <= 10, `${count} segments after two seconds of silence`)
      },
    },
    {
      id: 'RFC 3465 §2, RFC 5681 §3.1',
      level: 'SHOULD',
      rfc: 'RFC 3465 §2, RFC 5681 §3.1',
      text: 'An ACK divided into many opens the window no more than one',
      run: async (p: Probe) => {
        const flow = await bulk(p)
        await flow.collect(30)
        for (let ack = 101; ack <= 10_001; ack += 100) flow.send('.', { ack, win: WIN })
        const count = (await flow.collect(30)).length
        p.check(count <= 20, `${count} segments after 100 ACKs of 10 segments`)
      },
    },
    {
      id: 'optimistic ACKs',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'ACKs of what was not sent open no window',
      run: async (p: Probe) => {
        const flow = await bulk(p)
        await flow.collect(30)
        for (let i = 1; i <= 20; i++) flow.send('.', { ack: 10_001 + 5000 * i, win: WIN })
        const sent = (await flow.collect(30)).filter(({ len }) => len > 0)
        p.equal(sent.length, 0, 'segments sent')
      },
    },
    {
      id: 'spoofed duplicate ACKs',
      level: 'MAY',
      rfc: 'RFC 5681 §3.2, step 4',
      text: 'A flood of duplicate ACKs inflates the window by no more than what was outstanding',
      run: async (p: Probe) => {
        const flow = await bulk(p)
        await flow.collect(30)
        for (let i = 0; i < 200; i++) flow.send('.', { ack: 1, win: WIN })
        const sent = (await flow.collect(50)).filter(({ len }) => len > 0)
        p.check(sent.length <= 12, `${sent.length} segments`)
      },
      deviates: {
        linux:
          'counts every duplicate ACK as a segment that left, up to what is then in flight, which grows with each',
      },
    },
    {
      id: 'RFC 7661, RFC 2861',
      level: 'SHOULD',
      rfc: 'RFC 7661 §4.4, RFC 2861 §3',
      text: 'A window that was not used is no licence for a burst',
      run: async (p: Probe) => {
        const flow = await p.open({ mss: MSS, wscale: 7, win: 8_000_000 })
        // Fifty round trips of one segment each: the window must not grow by that.
        for (let i = 0; i < 50; i++) {
          flow.app?.write(1000)
          await flow.find('P.', { len: 1000 })
          flow.send('.', { win: WIN })
        }
        flow.app?.write(400_000)
        const count = (await flow.collect(10)).length
        p.check(count <= 20, `a burst of ${count} segments`)
      },
    },
    {
      id: 'RFC 9438 §4.6',
      level: 'SHOULD',
      rfc: 'RFC 9438 §4.6',
      text: 'CUBIC: after a loss the window is 0.7 of what it was',
      tests: [
        'packages/libtcpip/test/cubic.test.ts: a loss leaves seven tenths of the flight (§4.6)',
        'packages/libtcpip/test/cubic.test.ts: through the stack: three duplicate ACKs make a window of seven tenths',
      ],
    },
    {
      id: 'RFC 9438 §4.2, §4.7, §4.8',
      level: 'SHOULD',
      rfc: 'RFC 9438 §4.2 to §4.8',
      text: 'CUBIC: growth is concave up to the old window and convex beyond, never slower than Reno; fast convergence; no jump after idling',
      tests: [
        'packages/libtcpip/test/cubic.test.ts: after a loss: concave up to W_max, flat there, convex beyond',
        'packages/libtcpip/test/cubic.test.ts: on a short path it grows as Reno does: by 9/17 of a segment a round trip (§4.3)',
        'packages/libtcpip/test/cubic.test.ts: fast convergence: a window lost below the last W_max aims lower (§4.7)',
        'packages/libtcpip/test/cubic.test.ts: no jump after idle: from the restart window, through slow start, along a curve of its own',
      ],
    },
    {
      id: 'RFC 9406 §4.2',
      level: 'MAY',
      rfc: 'RFC 9406 §4.2',
      text: 'HyStart++: a round trip that grows ends slow start before a loss does',
      tests: [
        'packages/libtcpip/test/hystart.test.ts: cubic: 20 ms more, and from the eighth sample on the window grows at a quarter',
        'packages/libtcpip/test/hystart.test.ts: cubic: five rounds of that, and congestion avoidance begins where the window is',
        'packages/libtcpip/test/hystart.test.ts: cubic: when the round trip falls again, slow start goes on as before',
        'packages/libtcpip/test/hystart.test.ts: cubic: through the stack, 20 ms more slow the window down before anything is lost',
      ],
    },
    {
      id: 'pacing',
      level: 'MAY',
      rfc: 'RFC 9406, RFC 6928 §3',
      text: 'Bursts may be paced (`pacing`, off unless asked for)',
      tests: [
        'packages/libtcpip/test/pacing.test.ts: in slow start what ACKs let out leaves at twice the window per round trip',
        'packages/libtcpip/test/pacing.test.ts: in congestion avoidance it is 1.2 times the window',
        'packages/libtcpip/test/pacing.test.ts: no burst is larger than an initial window, and nothing is lost where bursts are',
      ],
    },
  ],
}
