import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFrame } from '../src/wire/format.ts'
import { address, frame6, message6, optionsHeader, packet6 } from './kit/packet6.ts'

const MAC = '02000000000a'
const SYN = Buffer.from('9c40005000000001000000006002faf00000000002040578', 'hex')
const TCP_LINE = 'Flags [S], seq 1, win 64240, options [mss 1400], length 0'
const HOSTS = 'IP6 fd77::1 > fd77::2: '

/** The frame, in memory that ends with it, as text. */
function format(frame: Buffer, totalLen?: number): string {
  const memory = Uint8Array.from(frame)
  return formatFrame(new DataView(memory.buffer), 0, memory.length, totalLen)
}
const line = (packet: Buffer): string => format(frame6(MAC, MAC, packet))
const icmp = (type: number, code: number, word: number, data: Buffer, over = {}): string =>
  line(packet6({ payload: message6(type, code, word, data), ...over }))

test('TCP and UDP', () => {
  const tcp = packet6({ protocol: 6, payload: SYN })
  assert.equal(line(tcp), `IP6 fd77::1.40000 > fd77::2.80: ${TCP_LINE}`)
  const udp = packet6({ protocol: 17, payload: Buffer.from('8e000035000bfb0e68690a', 'hex') })
  assert.equal(line(udp), 'IP6 fd77::1.36352 > fd77::2.53: UDP, length 3')
  const ack = Buffer.from('9c400050000000010000000150100100000000006162', 'hex')
  const data = frame6(MAC, MAC, packet6({ protocol: 6, payload: Buffer.concat([ack, SYN]) }))
  assert.equal(
    format(data.subarray(0, 14 + 40 + 20), data.length),
    'IP6 fd77::1.40000 > fd77::2.80: Flags [.], seq 1:27, ack 1, win 256, length 26',
  )
})

test('extension headers', () => {
  const extensions: [number, Buffer][] = [
    [0, optionsHeader(5, 2, 0, 0)],
    [60, optionsHeader(1, 8, 0, 0, 0, 0, 0, 0, 0, 0)],
    [43, Buffer.from('0000000300000000', 'hex')],
    [44, Buffer.from('0000000000000001', 'hex')],
  ]
  const packet = packet6({ protocol: 6, extensions, payload: SYN })
  const text = 'HBH DSTOPT srcrt (type=0, segleft=3) frag (0|24) '
  assert.equal(line(packet), `IP6 fd77::1.40000 > fd77::2.80: ${text}${TCP_LINE}`)
  const later: [number, Buffer][] = [[44, Buffer.from('000004d100000001', 'hex')]]
  assert.equal(
    line(packet6({ protocol: 6, extensions: later, payload: SYN })),
    `${HOSTS}frag (1232|24)`,
  )
  assert.equal(line(packet6({ protocol: 60, payload: Buffer.alloc(4) })), `${HOSTS}[|ip6]`)
  const long = packet6({ protocol: 60, payload: Buffer.from('06050000000000000000', 'hex') })
  assert.equal(line(long), `${HOSTS}DSTOPT [bad header length]`)
})

test('echo and errors', () => {
  const echo = Buffer.alloc(56)
  assert.equal(
    icmp(128, 0, 0x12340001, echo),
    `${HOSTS}ICMP6, echo request, id 4660, seq 1, length 64`,
  )
  assert.equal(
    icmp(129, 0, 0x12340001, echo),
    `${HOSTS}ICMP6, echo reply, id 4660, seq 1, length 64`,
  )
  const lines: [number, number, number, string][] = [
    [1, 4, 0, 'destination unreachable, unreachable port'],
    [1, 99, 0, 'destination unreachable, code 99'],
    [2, 0, 1280, 'packet too big, mtu 1280'],
    [3, 0, 0, 'time exceeded in-transit'],
    [3, 1, 0, 'time exceeded, code 1'],
    [4, 1, 40, 'parameter problem, next header - octet 40'],
    [4, 9, 40, 'parameter problem, code 9 - octet 40'],
    [200, 7, 0, 'type 200 code 7'],
  ]
  for (const [type, code, word, text] of lines) {
    assert.equal(icmp(type, code, word, echo), `${HOSTS}ICMP6, ${text}, length 64`)
  }
  assert.equal(line(packet6({ payload: Buffer.alloc(7) })), `${HOSTS}ICMP6 [|icmp6], length 7`)
})

test('neighbour discovery', () => {
  const option = Buffer.from('010102000000000a', 'hex')
  const target = Buffer.concat([address('fd77::2'), option])
  const toGroup = { dst: 'ff02::1:ff00:2' }
  assert.equal(
    icmp(135, 0, 0, target, toGroup),
    'IP6 fd77::1 > ff02::1:ff00:2: ICMP6, neighbor solicitation, who has fd77::2, length 32',
  )
  assert.equal(
    icmp(136, 0, 0x60 << 24, target),
    `${HOSTS}ICMP6, neighbor advertisement, tgt is fd77::2, length 32`,
  )
  const redirect = Buffer.concat([address('fe80::1'), address('fd88::8')])
  assert.equal(icmp(137, 0, 0, redirect), `${HOSTS}ICMP6, redirect, fd88::8 to fe80::1, length 40`)
  assert.equal(icmp(133, 0, 0, option), `${HOSTS}ICMP6, router solicitation, length 16`)
  assert.equal(icmp(134, 0, 0, option), `${HOSTS}ICMP6, router advertisement, length 16`)
  assert.equal(icmp(135, 0, 0, option), `${HOSTS}ICMP6, neighbor [|icmp6], length 16`)
  assert.equal(icmp(137, 0, 0, target), `${HOSTS}ICMP6, redirect [|icmp6], length 32`)
})

test('multicast listeners', () => {
  const report = Buffer.from(
    '33330000001602000000000b86dd600000000038000100000000000000000000000000000000' +
      'ff0200000000000000000000000000163a000502000001008f006d6300000002' +
      '04000000ff0200000000000000000001ff00000204000000ff0200000000000000000001ff00000b',
    'hex',
  )
  const start = 'IP6 :: > ff02::16: HBH ICMP6, multicast listener report v2, 2 group record(s)'
  const groups = '[gaddr ff02::1:ff00:2] [gaddr ff02::1:ff00:b]'
  assert.equal(format(report), `${start} ${groups}, length 48`)
  const cut = format(report.subarray(0, 100), report.length)
  assert.equal(cut, `${start} [gaddr ff02::1:ff00:2], length 48`)
  const query = icmp(130, 0, 0, Buffer.alloc(20))
  assert.equal(query, `${HOSTS}ICMP6, multicast listener query, length 28`)
})

test('what is cut off or makes no sense is said to be', () => {
  const packet = packet6({ protocol: 6, payload: SYN })
  assert.equal(line(packet.subarray(0, 39)), 'IP6 [|ip6], length 39')
  assert.equal(line(packet.subarray(0, 50)), `${HOSTS}[|tcp], length 24, [14 bytes missing]`)
  assert.equal(line(packet6({ protocol: 200, payload: SYN })), `${HOSTS}ip6-next-200, length 24`)
  packet[0] = 0x45
  assert.equal(line(packet), 'IP6 [bad version 4], length 64')
})
