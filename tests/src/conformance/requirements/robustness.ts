/** Floods, forgeries and slow peers: what a server on the open Internet lives with. */
import type { Section } from '../requirement.ts'
import { type Flow, mss, type Probe, sack } from '../script.ts'

const MSS = 1000

/** Frames in bites that the link's ring takes, with the answers thrown away. */
async function flood(p: Probe, frames: Iterable<Uint8Array>): Promise<number> {
  let answers = 0
  let bite: Uint8Array[] = []
  const send = async (): Promise<void> => {
    p.target.send(...bite)
    bite = []
    await p.target.receive(1)
    while (p.target.poll() !== undefined) answers++
  }
  for (const frame of frames) {
    bite.push(frame)
    if (bite.length === 100) await send()
  }
  await send()
  return answers
}

function* repeat(count: number, make: (i: number) => Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < count; i++) yield make(i)
}

/** The frame of a segment of a flow of its own, from a port and a host of the subnet. */
const stranger = (p: Probe, i: number, flags: string, send = {}): Uint8Array => {
  const src = p.target.self.ipv4.replace(/\d+$/, `${10 + (i % 200)}`)
  return p.stranger({ port: 1024 + (i % 60_000), src }).frame(flags, send)
}

export const ROBUSTNESS: Section = {
  title: 'Robustness and attacks',
  requirements: [
    {
      id: 'RFC 4987',
      level: 'SHOULD',
      rfc: 'RFC 4987 §3',
      text: 'During a SYN flood of 6000 a client still gets in at once',
      run: async (p: Probe) => {
        await flood(
          p,
          repeat(6000, i => stranger(p, i, 'S', { options: mss(1460) })),
        )
        const flow = p.flow()
        await flow.open({ mss: 1460 })
        await flow.alive()
      },
      tests: [
        'packages/libtcpip/test/synCookies.test.ts: with a full SYN table a SYN is answered and nothing is kept; the ACK makes the connection',
        'packages/libtcpip/test/synCookies.test.ts: the MSS comes back rounded down',
      ],
    },
    {
      id: 'RFC 4987 §3.6',
      level: 'MUST',
      rfc: 'RFC 4987 §3.6',
      text: 'ACKs with made-up cookies open no connection',
      run: async (p: Probe) => {
        await flood(
          p,
          repeat(6000, i => stranger(p, i, 'S', { options: mss(1460) })),
        )
        const before = p.target.openConnections()
        await flood(
          p,
          repeat(5000, i => stranger(p, i, '.', { seq: 1, ack: i * 7919 })),
        )
        if (p.target.kind === 'ours') {
          p.check(p.target.openConnections() <= before, 'no connection more')
        }
        const flow = p.flow()
        await flow.open({ mss: 1460 })
        await flow.alive()
      },
    },
    {
      id: 'RFC 4987 §3.6 (age)',
      level: 'MUST',
      rfc: 'RFC 4987 §3.6',
      text: 'A SYN cookie is refused when it is some minutes old',
      tests: [
        'packages/libtcpip/test/synCookies.test.ts: a cookie is good for its period and the next, then it is refused',
        'packages/libtcpip/test/cookie.test.ts: a million random ACKs make no connection',
      ],
    },
    {
      id: 'ACK, RST and FIN floods',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.10.7',
      text: 'Floods of segments of no connection leave nothing behind, and others work on',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const flags of ['.', 'R', 'F.', 'S.', 'PU.']) {
          await flood(
            p,
            repeat(1000, i => stranger(p, i, flags, { ack: i })),
          )
        }
        await flow.alive()
        if (p.target.kind === 'ours') p.equal(p.target.openConnections(), 1, 'connections')
      },
    },
    {
      id: 'LAND',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.2.3 (CVE-1999-0016)',
      text: 'A SYN from our own address and port is dropped in silence',
      run: async (p: Probe) => {
        const flow = p.flow({ src: p.target.self.ipv4, port: 80 })
        flow.send('S')
        const answer = await p.take(seen => seen.tcp !== undefined, 50)
        p.check(answer === undefined, 'silence')
        await (await p.open()).alive()
      },
    },
    {
      id: 'CVE-2018-5390',
      level: 'SHOULD',
      rfc: 'CVE-2018-5390 (SegmentSmack)',
      text: 'Every second byte of a window, out of order: bounded, and the connection works on',
      run: async (p: Probe) => {
        const flow = await p.open({ sack: true })
        for (let i = 0; i < 3000; i++) {
          p.target.send(flow.frame('.', { seq: 2 + 2 * i, data: 1 }))
          if (i % 100 === 0) {
            await p.pass(1)
            await flow.collect(0)
          }
        }
        flow.next = 1
        for (let i = 0; i < 6; i++) {
          flow.send('.', { data: 1000 })
          await flow.find('.', {}, 500)
        }
        await flow.until(() => (flow.app?.received.length ?? 0) >= 6000, 2000, 'all of it goes up')
      },
    },
    {
      id: 'CVE-2019-11477, CVE-2019-11478',
      level: 'SHOULD',
      rfc: 'CVE-2019-11477, CVE-2019-11478 (SACK panic, SACK slowness)',
      text: 'A tiny MSS and SACK blocks full of holes do no harm',
      run: async (p: Probe) => {
        const flow = await p.open({ mss: 48, sack: true, win: 65535 })
        flow.app?.write(40_000)
        await flow.collect(20)
        for (let round = 0; round < 20; round++) {
          const top = flow.highest
          for (let at = top - 40; at > flow.received - 2000 && at > 100; at -= 300) {
            const blocks: [number, number][] = [
              [at, at + 20],
              [at - 100, at - 80],
              [at - 200, at - 180],
            ]
            flow.send('.', { ack: 1, options: sack(flow, ...blocks) })
          }
          await p.pass(2)
        }
        await flow.collect(50)
        const ends = p.nowMs + 5000
        while (flow.received < 40_001 && p.nowMs < ends) {
          flow.send('.')
          await p.pass(20)
        }
        p.equal(flow.received, 40_001, 'all of it came')
      },
    },
    {
      id: 'SACK of nonsense',
      level: 'MUST',
      rfc: 'RFC 2018 §5, RFC 2883 §5',
      text: 'SACK blocks that are inverted, empty, beyond SND.NXT or below SND.UNA are ignored',
      run: async (p: Probe) => {
        const flow = await p.open({ mss: MSS, sack: true })
        flow.app?.write(10_000)
        await flow.collect(10)
        for (const block of [
          [5000, 3000],
          [5000, 5000],
          [50_000, 60_000],
          [-9000, -8000],
          [1, 2 ** 31],
          [-(2 ** 31), 4000],
        ] as [number, number][]) {
          flow.send('.', { ack: 1001, options: sack(flow, block) })
          await flow.collect(2)
        }
        flow.send('.')
        await flow.alive()
      },
    },
    {
      id: 'sockstress',
      level: 'SHOULD',
      rfc: 'CVE-2008-4609',
      text: 'Peers that connect and shut their window, or take four bytes at a time, block nobody',
      run: async (p: Probe) => {
        const slow: Flow[] = []
        for (let i = 0; i < 50; i++) slow.push(await p.open({ win: i % 2 === 0 ? 0 : 4 }))
        for (const flow of slow) flow.app?.write(1_000_000)
        await p.pass(20)
        const flow = await p.open()
        flow.app?.write(5000)
        await flow.find('P.', { seq: 4381 })
      },
    },
    {
      id: 'one byte at a time',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6.2',
      text: 'A peer that sends one byte a segment is served like any other',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (let i = 0; i < 200; i++) flow.send('P.', { data: 1 })
        await flow.find('.', { ack: 201 }, 1500)
      },
    },
    {
      id: 'accept, then RST',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'A thousand connections that are opened and reset at once leave nothing behind',
      run: async (p: Probe) => {
        for (let i = 0; i < 1000; i++) {
          const flow = p.stranger({ port: 2000 + i, src: p.target.peer.ipv4, keep: true })
          flow.send('S')
          await flow.expect('S.')
          flow.send('.')
          flow.send('R')
          if (i % 100 === 0) p.transcript.length = 0
        }
        if (p.target.kind === 'ours') p.equal(p.target.openConnections(), 0, 'connections left')
        await (await p.open()).alive()
      },
    },
    {
      id: 'connection churn',
      level: 'MUST',
      rfc: 'RFC 9293 §3.6.1',
      text: 'A hundred thousand short connections: TIME-WAIT is bounded, and nothing is refused',
      tests: [
        'packages/libtcpip/test/closing.test.ts: TIME-WAIT is bounded: the oldest gives way, counted',
        'packages/libtcpip/test/closing.test.ts: a connection is reused many times over, and nothing is left',
      ],
    },
    {
      id: 'keyed hash',
      level: 'SHOULD',
      rfc: 'RFC 6056 §3.3 (hash flooding)',
      text: 'The connection table is keyed: addresses cannot be chosen to fall together',
      tests: [
        'packages/libtcpip/test/tables.test.ts: the connection table is a Map, whatever comes and goes',
      ],
    },
    {
      id: 'SYN-ACK amplification',
      level: 'SHOULD',
      rfc: 'RFC 4987 §2.2',
      text: 'A forged SYN makes at most six packets of us, hardly larger than itself',
      long: true,
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S', { options: mss(1460) })
        const answers = await flow.collect(50_000)
        p.check(answers.length <= 6, `${answers.length} packets`)
        for (const { seen } of answers) p.check((seen.ip?.len ?? 0) <= 60, `${seen.ip?.len} bytes`)
      },
    },
    {
      id: 'mutated frames',
      level: 'MUST',
      rfc: 'RFC 9293, RFC 791',
      text: 'A quarter of a million mutated and random frames: nothing throws, nothing is left',
      tests: [
        'packages/libtcpip/test/fuzz.test.ts: 250,000 frames of seed 1: nothing throws, memory is bounded, and all comes back',
      ],
    },
  ],
}
