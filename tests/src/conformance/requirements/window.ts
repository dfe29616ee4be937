/** RFC 9293 §3.8.6, §3.8.6.1, §3.8.6.2: windows that shrink, shut, or open by a little. */
import type { Section } from '../requirement.ts'
import type { Flow, Probe } from '../script.ts'

const FIRST_WINDOW = 14_600

/** A connection with `bytes` more written whose peer has then shut its window. */
async function shut(p: Probe, bytes: number): Promise<Flow> {
  const flow = await p.open({ win: FIRST_WINDOW })
  flow.app?.write(FIRST_WINDOW + bytes)
  await flow.find('.', { seq: 13_141, len: 1460 })
  flow.send('.', { win: 0 })
  return flow
}

/** Waits for a probe of the shut window; returns when it came. */
async function probeOf(flow: Flow, withinMs: number): Promise<number> {
  const segment = await flow.nextSegment(withinMs)
  if (segment === undefined) flow.probe.fail(`no probe within ${withinMs} ms`)
  flow.probe.check(segment.len <= 1, `a probe of ${segment.len} bytes`)
  return segment.atMs
}

export const WINDOW: Section = {
  title: 'Windows',
  requirements: [
    {
      id: 'MUST-34, SHLD-15',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6',
      text: 'A window that shrinks below what is in flight stops new data and breaks nothing',
      run: async (p: Probe) => {
        const flow = await p.open({ win: 14_600 })
        flow.app?.write(100_000)
        await p.pass(20)
        p.equal(flow.received, 14_601, 'the first flight')
        await flow.collect(0)
        flow.send('.', { ack: 1461, win: 1000 })
        for (const segment of await flow.collect(100)) {
          p.check(segment.seq + segment.len <= 14_601, `no new data: ${segment.seq}`)
        }
        flow.send('.', { ack: 14_601, win: 14_600 })
        await flow.find('.', { seq: 14_601, len: 1460 })
      },
    },
    {
      id: 'SHLD-16, SHLD-17, MAY-7',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6',
      text: 'Data that a shrunken window no longer covers is still repeated, and does not end the connection',
      long: true,
      run: async (p: Probe) => {
        const flow = await p.open({ win: 14_600 })
        flow.app?.write(14_600)
        await p.pass(20)
        await flow.collect(0)
        flow.send('.', { ack: 1461, win: 1460 })
        await flow.find('.', { seq: 1461, len: 1460 }, 2000)
        await p.pass(5000)
        flow.send('.', { ack: 14_601, win: 14_600 })
        await flow.collect(20)
        await flow.alive()
      },
    },
    {
      id: 'SHLD-14',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6',
      text: 'The right edge of our window never moves back',
      setup: { receiveBuffer: 20_000 },
      run: async (p: Probe) => {
        const flow = await p.open()
        const app = flow.app!
        app.pause()
        let edge = 0
        for (let i = 0; i < 12; i++) {
          flow.send('P.', { data: 1000 })
          const ack = await flow.expect('.', { ack: 1001 + 1000 * i })
          const now = ack.ack + ack.win
          p.check(now >= edge, `the edge went from ${edge} to ${now}`)
          edge = now
        }
      },
    },
    {
      id: 'MUST-35, MUST-36, SHLD-29',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.1',
      text: 'A shut window is probed, for the first time after a retransmission time-out',
      long: true,
      run: async (p: Probe) => {
        const flow = await shut(p, 5000)
        const before = p.nowMs
        const first = (await probeOf(flow, 1500)) - before
        p.check(first > 150 && first < 1300, `the first probe after ${first.toFixed(0)} ms`)
      },
    },
    {
      id: 'SHLD-30',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6.1',
      text: 'The intervals between probes grow exponentially, also when each is answered',
      long: true,
      run: async (p: Probe) => {
        const flow = await shut(p, 5000)
        const at: number[] = []
        for (let i = 0; i < 5; i++) {
          at.push(await probeOf(flow, 10_000))
          flow.send('.', { win: 0 })
        }
        const gaps = at.slice(1).map((ms, i) => ms - at[i])
        for (let i = 1; i < gaps.length; i++) {
          const ratio = gaps[i] / gaps[i - 1]
          p.check(ratio > 1.6 && ratio < 2.4, `gaps ${gaps.map(Math.round)}`)
        }
      },
    },
    {
      id: 'MUST-37, MAY-8',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.1',
      text: 'A peer that answers may keep its window shut for a day',
      run: async (p: Probe) => {
        const flow = await shut(p, 5000)
        for (let i = 0; i < 1500; i++) {
          await probeOf(flow, 125_000)
          flow.send('.', { win: 0 })
        }
        flow.send('.', { win: 65535 })
        await flow.find('P.', {}, 1000)
      },
      notOnLinux: 'too slow: a day',
      tests: [
        'packages/libtcpip/test/zeroWindow.test.ts: a peer that answers may keep its window shut for ever (MUST-37)',
      ],
    },
    {
      id: 'window update',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.1',
      text: 'When the window opens, sending goes on at once with full segments',
      run: async (p: Probe) => {
        const flow = await shut(p, 5000)
        await probeOf(flow, 1500)
        flow.send('.', { win: 0 })
        await p.pass(30)
        await flow.collect(0)
        flow.send('.', { win: 65535 })
        const [first] = await flow.collect(50)
        p.check(first !== undefined && first.len >= 1459, 'a full segment follows')
      },
    },
    {
      id: 'MUST-66',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'With our window shut, RST and ACK still count',
      setup: { receiveBuffer: 8000 },
      run: async (p: Probe) => {
        const flow = await p.open()
        const app = flow.app!
        app.pause()
        let win = 65535
        for (let i = 0; i < 200 && win > 0; i++) {
          flow.send('P.', { data: Math.min(1460, win) })
          const ack = await flow.nextSegment(1000)
          if (ack === undefined) break
          flow.next = ack.ack
          win = ack.win
        }
        p.equal(win, 0, 'our window')
        app.write(100)
        await flow.find('P.', { len: 100 })
        flow.send('.')
        await flow.silence(400)
        flow.send('R')
        await p.pass(20)
        flow.send('.')
        await flow.find('R')
      },
    },
    {
      id: 'MUST-38',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.2.1',
      text: 'A window that opens byte by byte brings no tiny segments',
      run: async (p: Probe) => {
        const flow = await shut(p, 5000)
        for (let win = 1; win <= 60; win++) flow.send('.', { win })
        const sizes = (await flow.collect(60)).map(segment => segment.len)
        p.check(
          sizes.every(len => len === 0 || len >= 700),
          `segments of ${sizes} bytes`,
        )
      },
    },
    {
      id: 'MUST-39',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.6.2.2',
      text: 'Our window opens by a segment or half the buffer at least',
      setup: { receiveBuffer: 8000 },
      run: async (p: Probe) => {
        const flow = await p.open()
        const app = flow.app!
        app.pause()
        let win = 65535
        for (let i = 0; i < 200 && win > 0; i++) {
          flow.send('P.', { data: Math.min(1460, win) })
          const ack = await flow.nextSegment(1000)
          if (ack === undefined) break
          flow.next = ack.ack
          win = ack.win
        }
        p.equal(win, 0, 'our window')
        app.resume()
        const update = await flow.expect('.', {}, 2000)
        p.check(update.win >= 1460, `the window opens to ${update.win}`)
      },
      tests: [
        'packages/libtcpip/test/acceptability.test.ts: a window that opens is announced by a step of a segment or half the window, once (MUST-39)',
      ],
    },
    {
      id: 'MUST-17, SHLD-7',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.4',
      text: 'Small writes are not held back for an ACK (Nagle is off, as an application may ask)',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (let i = 0; i < 3; i++) {
          flow.app?.write(100)
          await flow.expect('P.', { seq: 1 + 100 * i, len: 100 }, 100)
        }
      },
    },
    {
      id: 'stale window',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'A segment older than the last one does not change the window (SND.WL1, SND.WL2)',
      run: async (p: Probe) => {
        const flow = await p.open({ win: FIRST_WINDOW })
        flow.send('P.', { data: 1, win: FIRST_WINDOW })
        await flow.expect('.', { ack: 2 })
        flow.app?.write(FIRST_WINDOW + 5000)
        await flow.find('.', { seq: 13_141, len: 1460 })
        flow.send('.', { win: 0 })
        flow.send('.', { ack: 1, win: 65535 })
        flow.send('.', { seq: 1, win: 65535 })
        for (const { len } of await flow.collect(150)) p.equal(len, 0, 'bytes sent')
      },
    },
  ],
}
