/** RFC 9293 §3.1, §3.2, §3.7: the header, its checksum, options, and the size of segments. */
import type { Section } from '../requirement.ts'
import { type Flow, mss, mssOf, option, type Probe, wscale } from '../script.ts'

const NOP = 1
const UNKNOWN = 200

/** Opens with the options given as bytes, writes, and returns the payload lengths of a flight. */
async function segmentSizes(
  flow: Flow,
  options: readonly number[],
  bytes: number,
): Promise<number[]> {
  flow.send('S', { options })
  await flow.expect('S.', { ack: 1 })
  flow.send('.')
  const app = await flow.accepted()
  app.write(bytes)
  await flow.until(() => flow.highest > 1, 2000, 'data comes')
  const sizes = new Map<number, number>()
  for (const { seq, len } of await flow.collect(30)) if (len > 0) sizes.set(seq, len)
  return [...sizes.values()]
}

/** Option fields that no header may have; a fifth word of NOPs keeps the header's length legal. */
const ILLEGAL: readonly (readonly number[])[] = [
  [2, 0],
  [2, 1],
  [2, 3, 5],
  [2, 40],
  [2, 255, 1, 1],
  [3, 0],
  [3, 1, 7],
  [3, 2],
  [3, 4, 7, 7],
  [4, 0],
  [4, 3, 0],
  [5, 0],
  [5, 2],
  [5, 3, 0],
  [5, 9, 1, 2, 3, 4, 5, 6, 7],
  [5, 42],
  [8, 0],
  [8, 2],
  [8, 9, 0, 0, 0, 0, 0, 0, 0],
  [8, 11],
  [19, 2],
  [34, 0],
  [34, 3, 1],
  [UNKNOWN, 0],
  [UNKNOWN, 1],
  [UNKNOWN, 41],
  [NOP, NOP, NOP, 2],
  [254],
]

async function survivesIllegalOptions(p: Probe): Promise<void> {
  for (const options of ILLEGAL) {
    const opening = p.flow()
    opening.send('S', { options })
    await p.pass(2)
    opening.send('R', { seq: 1 })
  }
  const flow = await p.open()
  for (const options of ILLEGAL) flow.send('.', { options })
  await p.pass(600)
  await flow.alive()
  const another = await p.open()
  await another.alive()
}

export const SEGMENTS: Section = {
  title: 'Segments: checksum, options, sizes',
  requirements: [
    {
      id: 'MUST-1, REC-1',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'The window is an unsigned number: 65535 bytes may be in flight',
      run: async (p: Probe) => {
        const flow = await p.open({ win: 65535 })
        flow.app?.write(1_000_000)
        let most = 0
        let acked = 1
        for (let round = 0; round < 8; round++) {
          await p.pass(20)
          most = Math.max(most, flow.highest - acked)
          acked = flow.received
          flow.send('.', { win: 65535 })
        }
        p.check(most > 60_000, `${most} bytes in flight at most`)
        p.check(most <= 65535, `${most} bytes in flight`)
        flow.send('R', { ack: 0 })
      },
    },
    {
      id: 'MUST-2',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'Every segment sent has the right checksum, whatever its length and contents',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (let len = 1; len <= 40; len++) {
          flow.app?.write(len)
          await flow.find('P.', { len })
          flow.send('.')
        }
      },
      tests: [
        'packages/libtcpip/test/checksum.test.ts: awkward sizes at every offset sum as in the twin',
      ],
    },
    {
      id: 'MUST-3',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'A segment with a wrong checksum is dropped in silence',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const checksumError of [1, 0x8000, 0x0100]) {
          flow.send('P.', { seq: 1, data: 101, checksumError })
        }
        await flow.silence(600)
        p.equal(flow.app?.received.length, 0, 'bytes that the application got')
        flow.next = 1
        await flow.alive()
        const opening = p.flow()
        opening.send('S', { checksumError: 5 })
        await opening.silence()
      },
      tests: [
        'packages/libtcpip/test/ip.test.ts: bad checksums in data are counted, and the data is not taken',
      ],
    },
    {
      id: 'MUST-4, MUST-5',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'EOL, NOP and MSS are known, and options are taken in any segment',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('P.', { data: 10, options: [NOP, NOP, UNKNOWN, 4, 0, 0, NOP, 0] })
        await flow.expect('.', { ack: 11 })
        flow.send('P.', { data: 10, options: [...mss(500), 0, 0, 0, 0] })
        await flow.find('.', { ack: 21 })
      },
    },
    {
      id: 'MUST-6, MUST-68',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'An unknown option is passed over by its length',
      run: async (p: Probe) => {
        const sizes = await segmentSizes(p.flow(), [UNKNOWN, 6, 2, 4, 9, 9, ...mss(1000)], 3000)
        p.equal(sizes, [1000, 1000, 1000], 'segments')
      },
    },
    {
      id: 'MUST-7',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'Illegal option lengths do no harm, in a SYN or later',
      run: survivesIllegalOptions,
      tests: [
        'packages/libtcpip/test/tcpOptions.test.ts: an impossible length ends the parse and is counted; what came before it holds',
      ],
    },
    {
      id: 'MUST-64',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'Options may begin at any byte',
      run: async (p: Probe) => {
        for (const before of [[], [NOP], [NOP, NOP], [UNKNOWN, 3, 9]]) {
          const sizes = await segmentSizes(p.flow(), [...before, ...mss(900)], 1800)
          p.equal(sizes, [900, 900], `segments after ${before.length} bytes of other options`)
        }
      },
    },
    {
      id: 'MUST-69',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'Headers are padded with zeros to a multiple of four bytes',
      // Every header that a target sends is looked at (seen.ts); here are those with options.
      run: async (p: Probe) => {
        for (const options of [[], mss(1460), wscale(7), [...mss(1460), ...wscale(2)]]) {
          const flow = p.flow()
          flow.send('S', { options })
          await flow.expect('S.')
          flow.send('R', { seq: 1 })
        }
      },
      tests: [
        'packages/libtcpip/test/tcpOptions.test.ts: what is written is read again, and padding ends on a word',
      ],
    },
    {
      id: 'MUST-14, SHLD-5, MAY-3',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.1',
      text: 'The MSS option is sent in every SYN-ACK, and the peer’s is obeyed',
      run: async (p: Probe) => {
        const flow = p.flow()
        const synAck = await flow.shake({ mss: 700 })
        p.equal(mssOf(synAck), 1460, 'MSS')
        const app = await flow.accepted()
        app.write(2100)
        for (let i = 0; i < 3; i++) await flow.expect('.', { len: 700 })
      },
    },
    {
      id: 'MUST-65',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.1',
      text: 'The MSS option is sent in SYN segments alone',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.app?.write(3000)
        await flow.alive()
        flow.app?.close()
        for (const segment of await flow.collect(30)) {
          p.check(option(segment, 2) === undefined, 'no MSS option after the handshake')
        }
      },
    },
    {
      id: 'MUST-67',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.1',
      text: 'The MSS sent is what can be received: the MTU without 40 bytes of headers',
      setup: { mtu: 1300 },
      run: async (p: Probe) => {
        const synAck = await p.flow().shake({ mss: 1460 })
        p.equal(mssOf(synAck), 1260, 'MSS for an MTU of 1300')
      },
    },
    {
      id: 'MUST-15',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.1',
      text: 'Without an MSS option segments have at most 536 bytes',
      run: async (p: Probe) => {
        const sizes = await segmentSizes(p.flow(), [], 1608)
        p.equal(sizes, [536, 536, 536], 'segments')
      },
    },
    {
      id: 'MUST-16',
      level: 'MUST',
      rfc: 'RFC 9293 §3.7.1',
      text: 'The size of a segment leaves room for the TCP options in it',
      run: async (p: Probe) => {
        const flow = await p.open({ mss: 1460, ts: 1000 })
        flow.app?.write(4344)
        for (let i = 0; i < 3; i++) await flow.expect('.', { len: 1448 })
      },
    },
    {
      id: 'SHLD-6',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.7.1',
      text: 'An MSS beyond our own MTU does not make segments larger than that',
      run: async (p: Probe) => {
        const sizes = await segmentSizes(p.flow(), mss(9000), 2920)
        p.equal(sizes, [1460, 1460], 'segments')
      },
    },
    {
      id: 'tiny MSS',
      level: 'SHOULD',
      rfc: 'CVE-2019-11479',
      text: 'An absurdly small MSS is not obeyed to the letter',
      run: async (p: Probe) => {
        for (const offered of [1, 8, 48]) {
          const sizes = await segmentSizes(p.flow(), mss(offered), 480)
          p.fact(`first segment with MSS ${offered}`, sizes[0])
          p.check(sizes[0] >= 36, `MSS ${offered}: segments of ${sizes[0]} bytes`)
        }
        const none = await segmentSizes(p.flow(), mss(0), 2000)
        p.fact('first segment with MSS 0', none[0])
        p.check(none[0] >= 36, `MSS 0: segments of ${none[0]} bytes`)
      },
    },
    {
      id: 'MUST-60, MUST-61, SHLD-27',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.1.2',
      text: 'Nothing is held back, and PSH is on the last segment of what the application wrote',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.app?.write(3000)
        await flow.expect('.', { len: 1460 })
        await flow.expect('.', { len: 1460 })
        await flow.expect('P.', { len: 80 })
      },
    },
    {
      id: 'SHLD-28',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.8.6.2.1',
      text: 'Segments are full as long as there is enough to send',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.app?.write(14_600)
        for (let i = 0; i < 10; i++) await flow.expect('.', { seq: 1 + 1460 * i, len: 1460 })
      },
    },
    {
      id: 'MAY-16, MAY-15, MAY-17',
      level: 'MAY',
      rfc: 'RFC 9293 §3.9.1.2',
      text: 'Received data goes up whether or not PSH is set',
      run: async (p: Probe) => {
        const flow = await p.open()
        flow.send('.', { data: 100 })
        await flow.until(() => flow.app?.received.length === 100, 500, 'the application has it')
      },
    },
    {
      id: 'reserved bits',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'Reserved header bits are zero when sent and ignored when received',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S', { reserved: 0b1110, options: mss(1460) })
        const synAck = await flow.expect('S.', { ack: 1 })
        p.equal(synAck.seen.tcp?.reserved, 0, 'reserved bits')
        flow.send('.', { reserved: 0b1110 })
        flow.send('P.', { data: 5, reserved: 0b1110 })
        const ack = await flow.find('.', { ack: 6 })
        p.equal(ack.seen.tcp?.reserved, 0, 'reserved bits')
      },
    },
    {
      id: 'data offset',
      level: 'MUST',
      rfc: 'RFC 9293 §3.1',
      text: 'A data offset below five or beyond the segment is dropped in silence',
      run: async (p: Probe) => {
        const flow = await p.open()
        for (const offset of [0, 1, 4, 15]) flow.send('P.', { seq: 1, data: 9, offset })
        await flow.silence(200)
        flow.next = 1
        await flow.alive()
      },
    },
  ],
}
