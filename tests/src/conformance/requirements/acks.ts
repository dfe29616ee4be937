/** RFC 9293 §3.8.6.3, §3.10.7.4, RFC 5681 §4.2, RFC 2018, RFC 2883: acknowledging. */
import type { Section } from '../requirement.ts'
import { hasSackOk, option, type Probe, sackOf } from '../script.ts'

export const ACKS: Section = {
  title: 'Acknowledging: delayed, out of order, selective',
  requirements: [
    {
      id: 'MUST-40, SHLD-18',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.3',
      text: 'A single segment is acknowledged within half a second',
      run: async (p: Probe) => {
        const flow = await p.open()
        // The first segments of a connection may be treated otherwise: quick ACKs.
        for (let i = 0; i < 3; i++) await flow.alive()
        const before = p.nowMs
        flow.send('P.', { data: 100 })
        const ack = await flow.expect('.', { ack: 104 }, 600)
        p.check(ack.atMs - before < 500, `the ACK took ${ack.atMs - before} ms`)
      },
    },
    {
      id: 'SHLD-18',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6.3',
      text: 'A single segment’s ACK is delayed, and rides on the answer if there is one',
      run: async (p: Probe) => {
        const flow = await p.open()
        // Past the quick ACKs with which a connection begins: a conversation.
        for (let i = 0; i < 20; i++) {
          flow.send('P.', { data: 100 })
          await flow.until(() => flow.app?.received.length === 100 * (i + 1), 500, 'it is read')
          flow.app?.write(10)
          await flow.find('P.', { len: 10, ack: flow.next })
        }
        flow.send('P.', { data: 100 })
        await flow.silence(15)
        flow.app?.write(10)
        await flow.expect('P.', { len: 10, ack: flow.next }, 100)
        await flow.silence(100)
      },
    },
    {
      id: 'SHLD-19',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6.3',
      text: 'At least every second full segment is acknowledged at once',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (let i = 0; i < 10; i++) {
          flow.send('.', { data: 1460 })
          flow.send('.', { data: 1460 })
          await flow.find('.', { ack: flow.next }, 35)
        }
      },
    },
    {
      id: 'MUST-58, MUST-59',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'All segments that are there are processed before an ACK is sent, and ACKs are few',
      run: async (p: Probe) => {
        const flow = await p.open()
        const frames = Array.from({ length: 10 }, () => flow.frame('.', { data: 1000 }))
        p.sendFrames(...frames)
        const acks = await flow.collect(600)
        p.check(acks.length >= 1 && acks.length <= 10, `${acks.length} ACKs for 10 segments`)
        p.equal(acks.at(-1)?.ack, 10_001, 'the last ACK')
      },
      tests: [
        'packages/libtcpip/test/acceptability.test.ts: a batch of segments is answered by one ACK (MUST-58)',
      ],
    },
    {
      id: 'SHLD-31',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'Segments that arrive before their predecessor are kept, and count when it comes',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const seq of [201, 101, 301]) flow.send('.', { seq, data: 100 })
        await p.pass(10)
        await flow.collect(0)
        flow.send('P.', { seq: 1, data: 100 })
        await flow.find('.', { ack: 401 })
        await flow.until(() => flow.app?.received.length === 400, 500, 'the application has all')
      },
    },
    {
      id: 'MAY-13',
      level: 'MAY',
      rfc: 'RFC 9293 §3.10.7.4 (RFC 5681 §4.2)',
      text: 'A segment out of order is acknowledged at once, and so is one that fills a gap',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('P.', { data: 100 })
        await flow.find('.', { ack: 101 })
        flow.send('.', { seq: 1101, data: 1000 })
        await flow.expect('.', { ack: 101 }, 20)
        flow.send('.', { seq: 101, data: 500 })
        await flow.expect('.', { ack: 601 }, 20)
        flow.send('.', { seq: 601, data: 500 })
        await flow.expect('.', { ack: 2101 }, 20)
      },
    },
    {
      id: 'RFC 2018 §2',
      level: 'MUST',
      rfc: 'RFC 2018 §2',
      text: 'SACK-permitted is answered if it was offered, and not otherwise',
      run: async (p: Probe) => {
        const asked = await p.flow().shake({ sack: true })
        p.check(hasSackOk(asked), 'SACK-permitted in the SYN-ACK')
        const unasked = p.flow()
        p.check(!hasSackOk(await unasked.shake({})), 'no SACK-permitted without one')
        unasked.send('.', { seq: 1001, data: 100 })
        const ack = await unasked.expect('.', { ack: 1 })
        p.check(option(ack, 5) === undefined, 'no SACK option')
      },
    },
    {
      id: 'RFC 2018 §4',
      level: 'MUST',
      rfc: 'RFC 2018 §4',
      text: 'The first SACK block is the one with the latest arrival; the others repeat earlier ones',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true })
        const blocks: [number, number][] = []
        for (const seq of [1001, 3001, 5001, 7001]) {
          flow.send('.', { seq, data: 1000 })
          const ack = await flow.expect('.', { ack: 1 })
          blocks.unshift([seq, seq + 1000])
          p.equal(sackOf(flow, ack), blocks, 'SACK blocks')
        }
        flow.send('.', { seq: 2001, data: 1000 })
        const joined = await flow.expect('.', { ack: 1 })
        p.equal(sackOf(flow, joined)[0], [1001, 4001], 'the block that grew')
        flow.send('.', { seq: 1, data: 1000 })
        await flow.expect('.', { ack: 4001 })
      },
    },
    {
      id: 'RFC 2018 §4 (many gaps)',
      level: 'MUST',
      rfc: 'RFC 2018 §4',
      text: 'With more gaps than an option holds, the block that grew is still reported whole',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true })
        for (const seq of [1001, 3001, 5001, 7001, 9001]) {
          flow.send('.', { seq, data: 1000 })
          const ack = await flow.expect('.', { ack: 1 })
          p.equal(sackOf(flow, ack)[0], [seq, seq + 1000], 'the first block')
        }
        flow.send('.', { seq: 2001, data: 1000 })
        const joined = await flow.expect('.', { ack: 1 })
        p.equal(sackOf(flow, joined)[0], [1001, 4001], 'the block that grew')
      },
      deviates: {
        linux:
          'remembers four blocks only: of a gap filled beside a forgotten one it reports the part it knows, [2001, 4001)',
      },
    },
    {
      id: 'RFC 2018 §3',
      level: 'MUST',
      rfc: 'RFC 2018 §3',
      text: 'With timestamps an ACK has room for three SACK blocks',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true, ts: 1 })
        for (const seq of [1001, 3001, 5001, 7001]) {
          flow.send('.', { seq, data: 1000 })
          const ack = await flow.expect('.', { ack: 1 })
          const count = Math.min(3, (seq - 1) / 2000 + 0.5)
          p.equal(sackOf(flow, ack).length, count, 'SACK blocks')
        }
      },
    },
    {
      id: 'RFC 2883 §4',
      level: 'SHOULD',
      rfc: 'RFC 2883 §4',
      text: 'Bytes that came twice are reported in a first block at or below the ACK (DSACK)',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true })
        flow.send('.', { data: 1000 })
        flow.send('.', { data: 1000 })
        await flow.find('.', { ack: 2001 })
        await p.pass(600)
        flow.send('.', { seq: 1, data: 1000 })
        const below = await flow.find('.', { ack: 2001 })
        p.equal(sackOf(flow, below)[0], [1, 1001], 'the DSACK block')
      },
    },
    {
      id: 'RFC 2883 §4 (above)',
      level: 'SHOULD',
      rfc: 'RFC 2883 §4',
      text: 'A duplicate above the ACK is reported first, and the block that holds it second',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true })
        flow.send('.', { seq: 1001, data: 1000 })
        flow.send('.', { seq: 2001, data: 1000 })
        await p.pass(10)
        await flow.collect(0)
        flow.send('.', { seq: 2001, data: 1000 })
        const ack = await flow.expect('.', { ack: 1 })
        p.equal(
          sackOf(flow, ack),
          [
            [2001, 3001],
            [1001, 3001],
          ],
          'SACK blocks',
        )
      },
    },
  ],
}
