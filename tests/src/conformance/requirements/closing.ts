/** RFC 9293 §3.6, §3.10.7.4: ends of connections, TIME-WAIT, resets. */
import type { Requirement, Section } from '../requirement.ts'
import type { Flow, Probe } from '../script.ts'

/** A connection that the target has closed first, and that now waits. */
async function waiting(p: Probe): Promise<Flow> {
  const flow = await p.open()
  flow.app?.close()
  await flow.expect('F.', { seq: 1 })
  flow.send('.')
  flow.send('F.')
  await flow.expect('.', { seq: 2, ack: 2 })
  return flow
}

const TIME_WAIT: readonly Requirement[] = [
  {
    id: 'MUST-13',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6.1',
    text: 'Who closes first waits: for 55 s a FIN that comes again is acknowledged',
    long: true,
    run: async (p: Probe) => {
      const flow = await waiting(p)
      await p.pass(30_000)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
      await p.pass(25_000)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
    tests: [
      'packages/libtcpip/test/closing.test.ts: TIME-WAIT acknowledges the FIN again, and then waits the whole time again',
    ],
  },
  {
    id: 'MUST-13 (length)',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6.1, §3.4.2',
    text: 'TIME-WAIT lasts 2 MSL, four minutes',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      await p.pass(235_000)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
    deviates: {
      ours: '60 s, like Linux (`timeWaitMs`): four minutes hold 15 000 ports a minute of one client, and the rule that reopens on a higher ISN protects the new connection',
    },
    notOnLinux: 'too slow: four minutes; its TCP_TIMEWAIT_LEN is 60 s',
  },
  {
    id: 'MAY-2',
    level: 'MAY',
    rfc: 'RFC 9293 §3.6.1',
    text: 'A SYN with a higher number reopens a connection in TIME-WAIT, with a higher ISN',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      const before = flow.theirIsn ?? 0
      flow.send('S', { seq: 100_000 })
      const synAck = await flow.expect('S.', { ack: 100_001 })
      const step = ((synAck.seen.tcp?.seq ?? 0) - before) | 0
      p.check(step > 1, `the new ISN is ${step} beyond the old`)
      flow.send('.', { seq: 100_001, ack: 1 })
      flow.send('P.', { seq: 100_001, ack: 1, data: 5 })
      await flow.find('.', { ack: 100_006 })
    },
  },
  {
    id: 'MAY-2 (old SYN)',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6.1',
    text: 'A SYN with a number of the old connection does not reopen it',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      flow.send('S', { seq: -1000 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
  },
  {
    id: 'MAY-2 (forgotten)',
    level: 'SHOULD',
    rfc: 'RFC 9293 §3.6.1, §3.5.1',
    text: 'A peer that has forgotten the connection resets it when its SYN is refused, and its next SYN opens another',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      flow.send('S', { seq: -1000 })
      await flow.expect('.', { seq: 2, ack: 2 })
      flow.send('R', { seq: 2 })
      flow.send('S', { seq: -1000 })
      await flow.expect('S.', { ack: -999 })
    },
  },
  {
    id: 'SHLD-4',
    level: 'SHOULD',
    rfc: 'RFC 9293 §3.6.1 (RFC 6191 §2)',
    text: 'With timestamps, a SYN with a later one reopens whatever its number is',
    long: true,
    run: async (p: Probe) => {
      const flow = await p.open({ ts: 1000 })
      flow.app?.close()
      await flow.expect('F.')
      flow.send('.')
      flow.send('F.')
      await flow.expect('.', { ack: 2 })
      await p.pass(1100)
      flow.send('S', { seq: -1000, ack: 0, tsEcho: 0 })
      await flow.expect('S.', { ack: -999 })
    },
  },
  {
    id: 'RFC 1337',
    level: 'SHOULD',
    rfc: 'RFC 1337 §3',
    text: 'An RST that nobody has asked for does not end TIME-WAIT',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      flow.send('R', { seq: 2 })
      await flow.silence(50)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
    deviates: {
      linux: 'an RST at RCV.NXT ends the wait unless net.ipv4.tcp_rfc1337 is set',
    },
  },
  {
    id: 'TIME-WAIT data',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.7.4',
    text: 'Old data in TIME-WAIT is answered with an ACK and harms nobody',
    run: async (p: Probe) => {
      const flow = await waiting(p)
      flow.send('P.', { seq: -99, data: 100 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
  },
]

const ORDERS: readonly Requirement[] = [
  {
    id: '§3.6 we close first',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6 case 1',
    text: 'We close first: FIN, its ACK, the peer’s FIN, our ACK',
    long: true,
    run: async (p: Probe) => {
      const flow = await waiting(p)
      await flow.silence(500)
    },
  },
  {
    id: '§3.6 the peer closes first',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6 case 2',
    text: 'The peer closes first: its FIN is acknowledged, ours follows when the application closes',
    long: true,
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('F.')
      await flow.expect('.', { ack: 2 })
      await flow.until(() => flow.app!.events.includes('fin'), 500, 'the application hears of it')
      flow.app?.close()
      await flow.expect('F.', { seq: 1, ack: 2 })
      flow.send('.')
      await flow.silence(500)
      flow.send('.')
      await flow.expect('R')
    },
  },
  {
    id: '§3.6 both close',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6 case 3',
    text: 'Both close at once: each FIN is acknowledged, and both wait',
    long: true,
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.close()
      await flow.expect('F.', { seq: 1, ack: 1 })
      flow.send('F.', { ack: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
      flow.send('.', { ack: 2 })
      await flow.silence(500)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { seq: 2, ack: 2 })
    },
  },
  {
    id: 'half-close by the peer',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6',
    text: 'After the peer’s FIN our data still flows and is still acknowledged',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('F.')
      await flow.expect('.', { ack: 2 })
      flow.app?.write(2000)
      await flow.expect('.', { seq: 1, len: 1460, ack: 2 })
      await flow.expect('P.', { seq: 1461, len: 540, ack: 2 })
      flow.send('.')
      flow.app?.close()
      await flow.expect('F.', { seq: 2001 })
    },
  },
  {
    id: 'half-close by us',
    level: 'MUST',
    rfc: 'RFC 9293 §3.6',
    text: 'After our FIN the peer’s data is still taken',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.close()
      await flow.expect('F.', { seq: 1 })
      flow.send('.')
      flow.send('P.', { data: 700 })
      await flow.expect('.', { ack: 701 })
      await flow.until(() => flow.app?.received.length === 700, 500, 'the application has it')
      flow.send('F.')
      await flow.expect('.', { ack: 702 })
    },
  },
  {
    id: 'lost FIN',
    level: 'MUST',
    rfc: 'RFC 9293 §3.8.1',
    text: 'Our FIN is repeated until it is acknowledged',
    long: true,
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.close()
      await flow.expect('F.', { seq: 1 })
      await flow.expect('F.', { seq: 1 }, 2000)
      await flow.expect('F.', { seq: 1 }, 3000)
      flow.send('.')
      await flow.silence(3000)
    },
  },
  {
    id: 'lost ACK of FIN',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.7.4',
    text: 'A FIN of the peer that comes again is acknowledged again, in CLOSE-WAIT too',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('F.')
      await flow.expect('.', { ack: 2 })
      await p.pass(600)
      flow.send('F.', { seq: 1 })
      await flow.expect('.', { ack: 2 })
    },
  },
  {
    id: 'FIN with data',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.4',
    text: 'Our FIN comes behind all data, and the peer’s FIN behind its own',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.write(3000)
      flow.app?.close()
      await flow.find('F.', {}, 500)
      p.equal(flow.received, 3002, 'all data and the FIN')
      flow.send('FP.', { data: 50 })
      await flow.find('.', { ack: 52 })
      await flow.until(() => flow.app?.received.length === 50, 500, 'the data goes up')
    },
  },
  {
    id: 'data after FIN',
    level: 'SHOULD',
    rfc: 'RFC 9293 §3.10.7.4',
    text: 'Data beyond the peer’s FIN is ignored',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('FP.', { data: 10 })
      await flow.expect('.', { ack: 12 })
      flow.send('P.', { data: 10 })
      await p.pass(50)
      p.equal(flow.app?.received.length, 10, 'bytes that the application got')
    },
  },
  {
    id: 'FIN-WAIT-2',
    level: 'MAY',
    rfc: 'RFC 9293 §3.6',
    text: 'A closed connection waits for the peer’s FIN for a minute, not for ever',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.close()
      await flow.expect('F.', { seq: 1 })
      flow.send('.')
      await p.pass(70_000)
      flow.send('F.')
      await flow.expect('R')
    },
    notOnLinux:
      'its application has only shut down its sending side, and holds the connection as long as it likes; after close(2) net.ipv4.tcp_fin_timeout is the same minute',
    tests: [
      'packages/libtcpip/test/closing.test.ts: FIN-WAIT-2 ends after a minute without the peer’s FIN',
    ],
  },
]

const ABORTS: readonly Requirement[] = [
  {
    id: 'ABORT',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.5',
    text: 'An abort sends RST with the next number, and the connection is gone',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.app?.abort()
      const rst = await flow.expect('R.', { seq: 1, ack: 1 })
      p.equal(rst.len, 0, 'payload of the RST')
      flow.send('.')
      await flow.expect('R', {})
    },
  },
  {
    id: 'SHLD-2',
    level: 'SHOULD',
    rfc: 'RFC 9293 §3.5.3',
    text: 'An RST may carry data',
    run: async (p: Probe) => {
      const flow = await p.open()
      flow.send('R', { data: 40 })
      await flow.gone()
    },
  },
  {
    id: 'SHLD-3, MAY-1',
    level: 'SHOULD',
    rfc: 'RFC 9293 §3.6.1',
    text: 'A close that loses received data tells the peer with an RST',
    notApplicable:
      'there is no receive buffer to lose anything from: what the application does not take is not acknowledged',
  },
  {
    id: 'RST in every state',
    level: 'MUST',
    rfc: 'RFC 9293 §3.10.7.4',
    text: 'An RST at RCV.NXT ends FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, CLOSING and LAST-ACK',
    run: async (p: Probe) => {
      const states: Record<string, (flow: Flow) => Promise<void>> = {
        'FIN-WAIT-1': async flow => {
          flow.app?.close()
          await flow.expect('F.')
        },
        'FIN-WAIT-2': async flow => {
          flow.app?.close()
          await flow.expect('F.')
          flow.send('.')
        },
        'CLOSE-WAIT': async flow => {
          flow.send('F.')
          await flow.expect('.')
        },
        CLOSING: async flow => {
          flow.app?.close()
          await flow.expect('F.')
          flow.send('F.', { ack: 1 })
          await flow.expect('.')
        },
        'LAST-ACK': async flow => {
          flow.send('F.')
          await flow.expect('.')
          flow.app?.close()
          await flow.expect('F.')
        },
      }
      for (const [name, enter] of Object.entries(states)) {
        const flow = await p.open()
        await enter(flow)
        flow.send('R')
        await flow.silence(30)
        flow.send('.', { ack: 1 })
        const answer = await flow.nextSegment(500)
        p.equal(answer?.flags, 'R', `${name}: afterwards an ACK is answered with`)
      }
    },
  },
]

export const CLOSING: Section = {
  title: 'Closing connections',
  requirements: [...ORDERS, ...TIME_WAIT, ...ABORTS],
}
