/** RFC 9293 §3.4, §3.5, §3.10.7.1 to §3.10.7.3: initial sequence numbers, opening, closed ports. */
import { address } from '../frames.ts'
import type { Section } from '../requirement.ts'
import type { Flow, Probe, Send } from '../script.ts'
import { CLOSED_PORT } from '../target.ts'

/** The ISN of the SYN-ACK that answers a SYN; the attempt is taken back. */
async function isnFor(flow: Flow): Promise<number> {
  flow.next = 0
  flow.theirIsn = undefined
  flow.send('S')
  const synAck = await flow.expect('S.')
  flow.send('R', { seq: 1 })
  return synAck.seen.tcp?.seq ?? 0
}

interface Question {
  readonly name: string
  readonly flags: string
  readonly send?: Send
  /** The answer's flags, seq and ack; '' for none. `ack` counts from the segment's number. */
  readonly answer: string
}

const RST_FOR_ACK = 'R 0x7777'

/** RFC 9293 §3.10.7.1: any segment but an RST is answered with one that fits it. */
const TO_CLOSED: readonly Question[] = [
  { name: 'SYN', flags: 'S', answer: 'R. 0 ack 1' },
  { name: 'SYN with data', flags: 'S', send: { data: 5 }, answer: 'R. 0 ack 6' },
  { name: 'ACK', flags: '.', answer: RST_FOR_ACK },
  { name: 'data', flags: 'P.', send: { data: 5 }, answer: RST_FOR_ACK },
  { name: 'SYN-ACK', flags: 'S.', answer: RST_FOR_ACK },
  { name: 'FIN', flags: 'F', answer: 'R. 0 ack 1' },
  { name: 'FIN-ACK', flags: 'F.', answer: RST_FOR_ACK },
  { name: 'no flag', flags: '', answer: 'R. 0 ack 0' },
  { name: 'no flag, data', flags: '', send: { data: 3 }, answer: 'R. 0 ack 3' },
  { name: 'Xmas', flags: 'FPU', answer: 'R. 0 ack 1' },
  { name: 'RST', flags: 'R', answer: '' },
  { name: 'RST-ACK', flags: 'R.', answer: '' },
  { name: 'SYN-RST', flags: 'SR', answer: '' },
]

/** RFC 9293 §3.10.7.2. */
const TO_LISTEN: readonly Question[] = [
  { name: 'RST', flags: 'R', answer: '' },
  { name: 'RST-ACK', flags: 'R.', answer: '' },
  { name: 'ACK', flags: '.', answer: RST_FOR_ACK },
  { name: 'data', flags: 'P.', send: { data: 5 }, answer: RST_FOR_ACK },
  { name: 'SYN-ACK', flags: 'S.', answer: RST_FOR_ACK },
  { name: 'FIN-ACK', flags: 'F.', answer: RST_FOR_ACK },
  { name: 'FIN', flags: 'F', answer: '' },
  { name: 'no flag', flags: '', answer: '' },
  { name: 'no flag, data', flags: '', send: { data: 3 }, answer: '' },
  { name: 'Xmas', flags: 'FPU', answer: '' },
]

async function ask(p: Probe, dstPort: number, questions: readonly Question[]): Promise<void> {
  for (const { name, flags, send, answer } of questions) {
    const flow = p.flow({ dstPort })
    // The flow has no numbers of the target's: its ACKs are absolute.
    flow.send(flags, { ack: 0x7777, ...send })
    const [got] = await flow.collect(15)
    const seen = got?.seen.tcp
    const text =
      got === undefined || seen === undefined
        ? ''
        : seen.flags.includes('.')
          ? `${seen.flags} ${seen.seq} ack ${got.ack}`
          : `${seen.flags} 0x${seen.seq.toString(16)}`
    p.equal(text, answer, `${name} is answered with`)
  }
}

export const OPENING: Section = {
  title: 'Opening connections',
  requirements: [
    {
      id: 'MUST-8',
      level: 'MUST',
      rfc: 'RFC 9293 §3.4.1',
      text: 'Initial sequence numbers of one pair of addresses and ports grow with a clock',
      run: async (p: Probe) => {
        const flow = p.flow()
        let last = await isnFor(flow)
        for (let i = 0; i < 5; i++) {
          await p.pass(100)
          const isn = await isnFor(flow)
          const step = (isn - last) | 0
          p.check(step > 0, `the ISN grew by ${step} in 100 ms`)
          last = isn
        }
      },
    },
    {
      id: 'MUST-9, SHLD-1',
      level: 'MUST',
      rfc: 'RFC 9293 §3.4.1 (RFC 6528 §3)',
      text: 'Initial sequence numbers of different pairs tell nothing of each other',
      run: async (p: Probe) => {
        const isns: number[] = []
        for (let i = 0; i < 64; i++) isns.push(await isnFor(p.flow()))
        const steps = isns.slice(1).map((isn, i) => (isn - isns[i]) >>> 0)
        // 63 steps of a good generator: about half beyond 2^31, no two alike, high bytes all over.
        const far = steps.filter(step => step > 2 ** 31).length
        p.check(far > 10 && far < 53, `${far} of 63 steps go back`)
        p.check(new Set(steps).size === steps.length, 'no two steps are alike')
        p.check(new Set(isns.map(isn => isn >>> 24)).size > 35, 'the high bytes differ')
      },
    },
    {
      id: 'MUST-10',
      level: 'MUST',
      rfc: 'RFC 9293 §3.5',
      text: 'Two ends that open at once get one connection',
      notApplicable:
        'a server never opens first; the load generator’s active open has its own tests',
    },
    {
      id: 'MUST-11',
      level: 'MUST',
      rfc: 'RFC 9293 §3.5.2, §3.10.7.4',
      text: 'An RST in SYN-RECEIVED returns a passive open to LISTEN',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S')
        await flow.expect('S.', { ack: 1 })
        flow.send('R', { seq: 1 })
        await flow.silence(100)
        flow.next = 0
        flow.send('S', { seq: 0 })
        await flow.expect('S.', { ack: 1 })
      },
    },
    {
      id: 'MUST-12, MUST-47',
      level: 'MUST',
      rfc: 'RFC 9293 §3.6, §3.9.1',
      text: 'The application hears of an abort by the peer, and the connection is gone',
      run: async (p: Probe) => {
        const flow = await p.open()
        const app = flow.app!
        app.write(100_000)
        await flow.find('.', { len: 1460 })
        flow.send('R')
        await flow.until(
          () => app.events.includes('closed'),
          500,
          'the application has heard of it',
        )
        await flow.collect(30)
        await flow.silence(500)
        if (p.target.kind === 'ours') p.equal(p.target.openConnections(), 0, 'connections left')
        flow.send('.')
        await flow.expect('R')
      },
    },
    {
      id: 'MUST-41, MUST-42',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.1.1',
      text: 'A passive open does not disturb others: many connections to one port at once',
      run: async (p: Probe) => {
        const flows: Flow[] = []
        for (let i = 0; i < 20; i++) flows.push(await p.open())
        for (const flow of flows) flow.app?.write(100)
        for (const flow of flows) await flow.expect('P.', { seq: 1, len: 100 })
      },
    },
    {
      id: 'MUST-43',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.1.1',
      text: 'An open may name the local address',
      notApplicable:
        'the addresses are the stack’s own, given at start; a port is opened on all of them',
    },
    {
      id: 'MUST-44, MUST-45',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.1.1',
      text: 'Answers come from the address that the SYN was sent to',
      setup: { more: [3] },
      run: async (p: Probe) => {
        const second = p.target.self.ipv4.replace(/\d+$/, '3')
        const flow = await p.open({ dst: second })
        flow.app?.write(10)
        const data = await flow.expect('P.', { len: 10 })
        p.equal(data.seen.ip?.src, second, 'the source address')
      },
    },
    {
      id: 'MUST-46, MUST-57',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.2.3',
      text: 'A SYN to a broadcast or multicast address is dropped in silence',
      run: async (p: Probe) => {
        const subnet = p.target.self.ipv4.replace(/\d+$/, '')
        for (const dst of [
          '255.255.255.255',
          `${subnet}255`,
          `${subnet}0`,
          '224.0.0.1',
          '239.1.2.3',
        ]) {
          const flow = p.flow({ dst })
          flow.send('S')
          const group = dst.startsWith('2') && !dst.startsWith('255')
          const last = address(dst)
          const dstMac = group
            ? Uint8Array.of(1, 0, 0x5e, last[1] & 127, last[2], last[3])
            : new Uint8Array(6).fill(255)
          flow.send('S', { seq: 0, dstMac })
          const answer = await p.take(seen => seen.tcp?.dstPort === flow.port, 30)
          p.check(answer === undefined, `a SYN to ${dst} is not answered`)
        }
      },
    },
    {
      id: 'MUST-63',
      level: 'MUST',
      rfc: 'RFC 9293 §3.9.2.3',
      text: 'A SYN from an address that no host has is dropped in silence',
      run: async (p: Probe) => {
        const subnet = p.target.self.ipv4.replace(/\d+$/, '')
        const sources = ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', `${subnet}255`]
        for (const src of [...sources, p.target.self.ipv4]) {
          const flow = p.flow({ src })
          flow.send('S')
          const answer = await p.take(seen => seen.tcp?.dstPort === flow.port, 30)
          p.check(answer === undefined, `a SYN from ${src} is not answered`)
        }
      },
      deviates: {
        linux: 'it answers a SYN whose source is the directed broadcast address of the subnet',
      },
    },
    {
      id: 'port 0',
      level: 'SHOULD',
      rfc: 'RFC 6335 §6',
      text: 'A SYN from or to port 0 opens nothing',
      run: async (p: Probe) => {
        const from = p.flow({ port: 0 })
        from.send('S')
        const first = await from.collect(30)
        p.fact('from port 0', first.map(segment => segment.flags).join(' '))
        const to = p.flow({ dstPort: 0 })
        to.send('S')
        const second = await to.collect(30)
        p.fact('to port 0', second.map(segment => segment.flags).join(' '))
        for (const segment of [...first, ...second]) {
          p.check(!segment.flags.includes('S'), 'no SYN-ACK from or to port 0')
        }
      },
      deviates: { linux: 'it takes port 0 of a peer for a port like any other' },
      differs: 'we drop a segment with port 0 in silence; Linux treats it as any other',
    },
    {
      id: '§3.10.7.1',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.1',
      text: 'A closed port answers everything but RST with the RST that fits',
      run: p => ask(p, CLOSED_PORT, TO_CLOSED),
      tests: [
        'packages/libtcpip/test/closedPort.test.ts: CLOSED: SYN-FIN is answered with R. 0 ack 12',
      ],
    },
    {
      id: '§3.10.7.2',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.2',
      text: 'A listening port ignores RST, answers ACK with RST, and drops what is no SYN',
      run: p => ask(p, 80, TO_LISTEN),
    },
    {
      id: 'SYN-FIN',
      level: 'SHOULD',
      rfc: 'RFC 9293 §3.10.7.2',
      text: 'A SYN with FIN to a listening port',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('SF')
        const [answer] = await flow.collect(50)
        p.fact('answer', answer?.flags ?? 'none')
      },
    },
    {
      id: '§3.10.7.4 SYN-RECEIVED',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'In SYN-RECEIVED an ACK of something else is answered with RST, and the attempt goes on',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S')
        await flow.expect('S.')
        flow.send('.', { ack: 5000 })
        await flow.expect('R', { seq: 5000 })
        flow.send('.', { ack: 1 })
        await flow.alive()
      },
    },
    {
      id: 'SYN repeated',
      level: 'MUST',
      rfc: 'RFC 9293 §3.8.1, §3.10.7.4',
      text: 'A SYN that comes twice gets the same SYN-ACK twice',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S')
        const first = await flow.expect('S.')
        flow.send('S', { seq: 0 })
        const second = await flow.expect('S.')
        p.equal(second.seen.tcp?.seq, first.seen.tcp?.seq, 'the ISN')
        flow.send('.')
        await flow.alive()
      },
    },
    {
      id: 'data on the third segment',
      level: 'MUST',
      rfc: 'RFC 9293 §3.10.7.4',
      text: 'The ACK that ends the handshake may carry data and FIN',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S')
        await flow.expect('S.')
        flow.send('FP.', { data: 10 })
        await flow.expect('.', { ack: 12 })
        const app = await flow.accepted()
        await flow.until(() => app.received.length === 10, 500, 'the application has the data')
      },
    },
    {
      id: 'data in the SYN',
      level: 'MUST',
      rfc: 'RFC 9293 §3.4',
      text: 'Data in a SYN is not delivered before the handshake is complete',
      run: async (p: Probe) => {
        const flow = p.flow()
        flow.send('S', { data: 20 })
        const synAck = await flow.expect('S.')
        p.check(synAck.ack === 1 || synAck.ack === 21, `the SYN-ACK acknowledges ${synAck.ack}`)
        p.check((flow.app?.received.length ?? 0) === 0, 'nothing is delivered yet')
        flow.send('.', { seq: synAck.ack })
        flow.send('P.', { seq: 1, data: 20 })
        await flow.until(() => flow.app?.received.length === 20, 1000, 'it is delivered once')
      },
    },
    {
      id: 'sequence wrap',
      level: 'MUST',
      rfc: 'RFC 9293 §3.4',
      text: 'Sequence numbers pass 2^32 and 2^31 unnoticed',
      run: async (p: Probe) => {
        for (const isn of [0xffffffff, 0xffffff00, 0x7fffffff, 0x7fffff00, 0]) {
          const flow = await p.open({ isn })
          for (let i = 0; i < 4; i++) {
            flow.send('P.', { data: 200 })
            await flow.find('.', { ack: 201 + 200 * i })
          }
          flow.send('F.')
          await flow.find('.', { ack: 802 })
        }
      },
      tests: ['packages/libtcpip/test/retransmission.test.ts: sending works across 2^31 and 2^32'],
    },
  ],
}
