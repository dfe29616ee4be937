/**
 * What is ours and what is not, decided by the kernel itself: our programs are loaded, verified,
 * and run on frames (BPF_PROG_TEST_RUN). And the bytes of one of them, against a listing that a
 * reader of RFC 9669 can follow.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { dropProgram, filterProgram, type Steering, xdpProgram } from '../src/bpf/steer.ts'
import * as bpf from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { parsePrefix } from '../src/sys/prefix.ts'
import { listing } from './disassemble.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { runProgram } from './runProgram.ts'
import * as wire from './wire.ts'

const needsBpf = unless(nicProblem())
if (needsBpf.skip === false) before(ownNamespace)

const bytesOf = (text: string): Uint8Array => parsePrefix(text)?.bytes ?? new Uint8Array()
const OUR4 = '192.0.2.7'
const OUR6 = '2001:db8::7'
const PORT = 80
const OWN: Steering = { own: [OUR4, OUR6].map(bytesOf), shared: [], port: PORT }
const SHARED: Steering = { own: [], shared: [OUR4, OUR6].map(bytesOf), port: PORT }

const US = { mac: Uint8Array.of(2, 0, 0, 0, 0, 1), ip: [192, 0, 2, 7], port: PORT }
const CLIENT = { mac: Uint8Array.of(2, 0, 0, 0, 0, 2), ip: [192, 0, 2, 9], port: 4711 }
const OTHER = { ...US, ip: [192, 0, 2, 8] }
const SSH = { ...US, port: 22 }
const SYN = { seq: 1, ack: 0, flags: wire.SYN }
const NONE = new Uint8Array(0)

const tcp4 = (from: wire.End, to: wire.End): Uint8Array => wire.tcp(from, to, SYN, NONE, false)

/** A TCP segment with four bytes of IP options, whose ports lie further behind. */
function tcp4WithOptions(from: wire.End, to: wire.End): Uint8Array {
  const plain = tcp4(from, to)
  const ip = wire.ETH + wire.IP
  const frame = Buffer.concat([
    plain.subarray(0, ip),
    Uint8Array.of(1, 1, 1, 0),
    plain.subarray(ip),
  ])
  frame[wire.ETH] = 0x46
  return frame
}

/** Sets the fragment field: offsets are in units of eight bytes. */
function fragment(frame: Uint8Array, field: number): Uint8Array {
  const copy = frame.slice()
  wire.viewOf(copy).setUint16(wire.ETH + 6, field)
  return copy
}

/** An ICMP message of this type that quotes the packet in `about`. */
function icmp4(to: wire.End, type: number, about: Uint8Array): Uint8Array {
  const frame = wire.udp(CLIENT, to, Buffer.concat([about.subarray(wire.ETH)]))
  frame[wire.ETH + 9] = 1
  frame[wire.ETH + wire.IP] = type
  return frame
}

/** An IPv6 packet: next header, destination, payload. */
function ipv6(next: number, to: string, payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(54)
  header.set([...US.mac, ...CLIENT.mac, 0x86, 0xdd, 0x60])
  wire.viewOf(header).setUint16(18, payload.length)
  header[20] = next
  header.set(bytesOf('2001:db8::9'), 22)
  header.set(bytesOf(to), 38)
  return Buffer.concat([header, payload])
}

function tcp6(to: string, port: number, from = 4711): Uint8Array {
  const segment = new Uint8Array(20)
  wire.viewOf(segment).setUint16(0, from)
  wire.viewOf(segment).setUint16(2, port)
  return ipv6(6, to, segment)
}

const ndp = (type: number, to: string, target: string): Uint8Array =>
  ipv6(58, to, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, ...bytesOf(target)))

/** An ICMPv6 error for us, about a packet from `from`, our port being `port`. */
function icmp6(type: number, from: string, port: number): Uint8Array {
  const about = tcp6('2001:db8::9', 4711, port).subarray(14)
  about.set(bytesOf(from), 8)
  return ipv6(58, OUR6, Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, ...about))
}

/** Each frame, and whether it is ours with an address of our own, and with a shared one. */
const FRAMES: [string, Uint8Array, boolean, boolean][] = [
  ['TCP to our port', tcp4(CLIENT, US), true, true],
  ['TCP to another port of our address', tcp4(CLIENT, SSH), true, false],
  ['TCP to our port behind IP options', tcp4WithOptions(CLIENT, US), true, true],
  ['TCP to another port behind IP options', tcp4WithOptions(CLIENT, SSH), true, false],
  ['TCP to our port at another address', tcp4(CLIENT, OTHER), false, false],
  ['the first fragment to our port', fragment(tcp4(CLIENT, US), 0x2000), true, true],
  ['a later fragment', fragment(tcp4(CLIENT, US), 0x2010), true, false],
  ['UDP to our port', wire.udp(CLIENT, US, new Uint8Array(20)), true, false],
  ['ping', icmp4(US, 8, tcp4(US, CLIENT)), true, false],
  ['an error about a segment of ours', icmp4(US, 3, tcp4(US, CLIENT)), true, true],
  ['an error about another port of our address', icmp4(US, 3, tcp4(SSH, CLIENT)), true, false],
  ['an error about our port at another address', icmp4(US, 3, tcp4(OTHER, CLIENT)), true, false],
  ['an error to another address', icmp4(OTHER, 3, tcp4(US, CLIENT)), false, false],
  ['ARP for us', wire.arp(1, CLIENT, US), true, false],
  ['ARP of somebody with our address', wire.arp(1, US, CLIENT), true, false],
  ['ARP for another', wire.arp(1, CLIENT, OTHER), false, false],
  ['TCP over IPv6 to our port', tcp6(OUR6, PORT), true, true],
  ['TCP over IPv6 to another port', tcp6(OUR6, 22), true, false],
  ['TCP over IPv6 to another address', tcp6('2001:db8::8', PORT), false, false],
  ['a solicitation for us', ndp(135, 'ff02::1:ff00:7', OUR6), true, false],
  ['a solicitation for another', ndp(135, 'ff02::1:ff00:7', '2001:db8:1::7'), false, false],
  ['an advertisement of our address to all', ndp(136, 'ff02::1', OUR6), true, false],
  ['a router advertisement', ndp(134, 'ff02::1', OUR6), false, false],
  ['a packet too big about our port', icmp6(2, OUR6, PORT), true, true],
  ['a packet too big about another port', icmp6(2, OUR6, 22), true, false],
  ['a packet too big about another address', icmp6(2, '2001:db8::8', PORT), true, false],
  ['an IPv6 unreachable about our port', icmp6(1, OUR6, PORT), true, true],
  ['a ping over IPv6', icmp6(128, OUR6, PORT), true, false],
  [
    'another protocol',
    Uint8Array.of(...US.mac, ...CLIENT.mac, 0x88, 0xb5, ...new Array(46)),
    false,
    false,
  ],
]

test('XDP steers what is ours, and lets everything else pass', needsBpf, () => {
  const map = bpf.createXskMap(1)
  // No socket is in the map, so what is ours is lost: XDP_DROP. XDP_PASS is the kernel's.
  for (const [steering, ours] of [
    [OWN, 2],
    [SHARED, 3],
  ] as const) {
    const program = bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, xdpProgram(steering, map))
    for (const row of FRAMES) assert.equal(runProgram(program, row[1]), row[ours] ? 1 : 2, row[0])
    libc().close(program)
  }
  libc().close(map)
})

test('TCX takes what is ours from the kernel, and nothing else', needsBpf, () => {
  for (const [steering, ours] of [
    [OWN, 2],
    [SHARED, 3],
  ] as const) {
    const code = dropProgram(steering)
    const program = bpf.loadProgram(bpf.PROG_TYPE_SCHED_CLS, bpf.ATTACH_TCX_INGRESS, code)
    for (const row of FRAMES) assert.equal(runProgram(program, row[1]), row[ours] ? 2 : -1, row[0])
    libc().close(program)
  }
})

test('a frame cut off anywhere is never ours by what lies behind its end', needsBpf, () => {
  const map = bpf.createXskMap(1)
  const xdp = bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, xdpProgram(SHARED, map))
  const code = dropProgram(SHARED)
  const tcx = bpf.loadProgram(bpf.PROG_TYPE_SCHED_CLS, bpf.ATTACH_TCX_INGRESS, code)
  const port = wire.ETH + wire.IP + 4
  for (let len = wire.ETH; len <= port; len++) {
    const cut = tcp4(CLIENT, US).slice(0, len)
    assert.equal(runProgram(xdp, cut), len < port ? 2 : 1, `${len} bytes`)
    // The kernel wants a whole IP header of what it runs there.
    if (len >= wire.ETH + wire.IP)
      assert.equal(runProgram(tcx, cut), len < port ? -1 : 2, `${len} bytes`)
  }
  for (const fd of [map, xdp, tcx]) libc().close(fd)
})

test('the verifier takes sixteen addresses of each kind', needsBpf, () => {
  const own = Array.from({ length: 16 }, (_, i) => [
    bytesOf(`192.0.2.${i + 1}`),
    bytesOf(`2001:db8::${i + 1}`),
  ]).flat()
  for (const steering of [
    { own, shared: [], port: 80 },
    { own: [], shared: own, port: 80 },
  ]) {
    libc().close(bpf.loadProgram(bpf.PROG_TYPE_SOCKET_FILTER, 0, filterProgram(steering)))
  }
})

test('what the verifier refuses is said with its reason', needsBpf, () => {
  const nothing = Uint8Array.of(0x95, 0, 0, 0, 0, 0, 0, 0)
  assert.throws(() => bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, nothing), /BPF program.*R0 !read_ok/)
})

test('the program of one address of our own is these instructions', () => {
  const steering = { own: [bytesOf(OUR4)], shared: [], port: PORT }
  const text = listing(xdpProgram(steering, 9))
  assert.equal(`\n${text}`, EXPECTED)
})

/** ARP is asked for its target (38) and its sender (28), IPv4 for its destination (30). */
const EXPECTED = `
0: r6 = r1
1: r7 = *(u32*)(r1 + 0)
2: r8 = *(u32*)(r1 + 4)
3: r9 = 0
4: r1 = r7
5: r1 += r9
6: r2 = r1
7: r2 += 14
8: if r2 > r8 goto 46
9: r0 = *(u16*)(r1 + 12)
10: if w0 == 8 goto 30
11: if w0 == 56710 goto 39
12: if w0 != 1544 goto 46
13: r1 = r7
14: r1 += r9
15: r2 = r1
16: r2 += 42
17: if r2 > r8 goto 46
18: r0 = *(u32*)(r1 + 38)
19: if w0 != 117571776 goto 21
20: goto 40
21: r1 = r7
22: r1 += r9
23: r2 = r1
24: r2 += 32
25: if r2 > r8 goto 46
26: r0 = *(u32*)(r1 + 28)
27: if w0 != 117571776 goto 29
28: goto 40
29: goto 46
30: r1 = r7
31: r1 += r9
32: r2 = r1
33: r2 += 34
34: if r2 > r8 goto 46
35: r0 = *(u32*)(r1 + 30)
36: if w0 != 117571776 goto 38
37: goto 40
38: goto 46
39: goto 46
40: r1 = map 9
42: r2 = *(u32*)(r6 + 16)
43: r3 = 1
44: call 51
45: exit
46: r0 = 2
47: exit
`
