import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as checksum from '../src/wire/checksum.ts'
import { formatFrame } from '../src/wire/format.ts'

const OFF = 2
const ETHER = '0200000000028e0102030405'
const ARP = `${ETHER}0806000108000604`
const SYN: string = [
  `${ETHER}0800`,
  '4500003c1c464000400609da0a4d00010a4d0002',
  '9c40005000000001' + '00000000a002faf0' + '9be00000020405b4',
  '0402080a0000000100000000' + '01030307',
].join('')
const SYN_LINE =
  'IP 10.77.0.1.40000 > 10.77.0.2.80: Flags [S], seq 1, win 64240, ' +
  'options [mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0'

/** The frame given as hex, in memory that ends with it, as text. */
function format(hex: string, totalLen?: number): string {
  const bytes = Buffer.from(hex, 'hex')
  const memory = new Uint8Array(OFF + bytes.length)
  memory.set(bytes, OFF)
  return formatFrame(new DataView(memory.buffer), OFF, bytes.length, totalLen)
}

/** An IPv4 frame, 10.77.0.1 > 10.77.0.2; the checksum is of no interest to text. */
function ip(protocol: number, payload: string, totalLen: number = 20 + payload.length / 2): string {
  const total = totalLen.toString(16).padStart(4, '0')
  const proto = protocol.toString(16).padStart(2, '0')
  return `${ETHER}08004500${total}0001000040${proto}00000a4d00010a4d0002${payload}`
}

/** A TCP header, 80 > 40000, with flags and options given as hex. */
function segment(flags: string, options = '', data = ''): string {
  const words = (5 + options.length / 8).toString(16)
  return ip(6, `00509c40ffffffff00000005${words}0${flags}01000000000a${options}${data}`)
}

test('ARP', () => {
  const sender = '8e01020304050a4d0001'
  const nobody = '000000000000'
  const line = (op: number, from: string, to: string): string =>
    format(`${ARP}000${op}${from}${to}`)
  assert.equal(
    line(1, sender, `${nobody}0a4d0002`),
    'ARP, Request who-has 10.77.0.2 tell 10.77.0.1, length 28',
  )
  assert.equal(
    line(2, sender, '0200000000020a4d0002'),
    'ARP, Reply 10.77.0.1 is-at 8e:01:02:03:04:05, length 28',
  )
  assert.equal(line(1, sender, `${nobody}0a4d0001`), 'ARP, Announcement 10.77.0.1, length 28')
  assert.equal(
    line(1, '8e010203040500000000', `${nobody}0a4d0002`),
    'ARP, Probe 10.77.0.2, length 28',
  )
  assert.equal(line(7, sender, `${nobody}0a4d0001`), 'ARP, unknown, length 28')
})

test('a SYN with the options of Linux', () => {
  assert.equal(format(SYN), SYN_LINE)
})

test('data, acknowledgments and flags as in tcpdump', () => {
  const line = (flags: string, options?: string, data?: string): string =>
    format(segment(flags, options, data)).replace('IP 10.77.0.1.80 > 10.77.0.2.40000: ', '')
  assert.equal(line('10'), 'Flags [.], ack 5, win 256, length 0')
  assert.equal(line('18', '', '616263'), 'Flags [P.], seq 4294967295:2, ack 5, win 256, length 3')
  assert.equal(line('04'), 'Flags [R], seq 4294967295, win 256, length 0')
  assert.equal(line('00'), 'Flags [none], win 256, length 0')
  assert.equal(line('ff'), 'Flags [FSRP.UEW], seq 4294967295, ack 5, win 256, urg 10, length 0')
  assert.equal(
    line('10', '0101050a0000000100000009'),
    'Flags [.], ack 5, win 256, options [nop,nop,sack 1 {1:9}], length 0',
  )
  assert.match(line('10', 'fe04abcd00000000'), /options \[unknown-254,eol\]/)
  assert.match(line('10', '02ff05b4'), /options \[\[bad opt\]\]/)
  assert.match(line('10', '02030500'), /options \[unknown-2,eol\]/)
})

test('ICMP, UDP, other protocols, other types', () => {
  const from = 'IP 10.77.0.1 > 10.77.0.2: '
  assert.equal(
    format(ip(1, '0800bc03123400016162')),
    `${from}ICMP echo request, id 4660, seq 1, length 10`,
  )
  assert.equal(
    format(ip(1, '0000000012340001')),
    `${from}ICMP echo reply, id 4660, seq 1, length 8`,
  )
  assert.equal(format(ip(1, '0301000000000000')), `${from}ICMP type 3 code 1, length 8`)
  assert.equal(
    format(ip(17, '00350036000a0000abcd')),
    'IP 10.77.0.1.53 > 10.77.0.2.54: UDP, length 2',
  )
  assert.equal(format(ip(132, '00')), `${from}ip-proto-132, length 1`)
  assert.equal(
    format(`${ETHER}88cc60`),
    '8e:01:02:03:04:05 > 02:00:00:00:00:02, ethertype 0x88cc, length 15',
  )
})

test('Ethernet padding is not data', () => {
  assert.match(format(`${segment('10')}000000000000`), /win 256, length 0$/)
  const short = ip(6, '00509c400000000100000005', 20 + 8)
  assert.match(format(`${short}0000000000000000`), /: \[\|tcp\], length 8$/)
})

test('headers alone make the whole line when the length of the frame is given', () => {
  const headers = ip(6, '00509c400000000100000005' + '5010010000000000', 20 + 20 + 1460)
  assert.equal(
    format(headers, 14 + 20 + 20 + 1460),
    'IP 10.77.0.1.80 > 10.77.0.2.40000: Flags [.], seq 1:1461, ack 5, win 256, length 1460',
  )
  assert.match(format(headers), /length 1460, \[1460 bytes missing\]$/)
})

test('fragments have no ports', () => {
  const fragment = ip(6, '00509c40').replace('00010000', '000120b9')
  assert.equal(format(fragment), 'IP 10.77.0.1 > 10.77.0.2: frag id 1 offset 1480, length 4')
})

test('a VLAN stands before what is in it', () => {
  const tagged = (hex: string): string => `${hex.slice(0, 24)}8100e00a${hex.slice(24)}`
  assert.equal(format(tagged(SYN)), `vlan 10, ${SYN_LINE}`)
  assert.equal(
    format(tagged(`${ETHER}88cc00`)),
    'vlan 10, 8e:01:02:03:04:05 > 02:00:00:00:00:02, ethertype 0x88cc, length 19',
  )
  const short = '8e:01:02:03:04:05 > 02:00:00:00:00:02, ethertype 0x8100, length '
  for (const len of [14, 15, 17]) {
    assert.equal(format(tagged(SYN).slice(0, 2 * len)), short + len)
  }
  assert.equal(format(tagged(SYN).slice(0, 2 * 18)), 'vlan 10, IP [|ip], length 0')
})

test('a frame cut off anywhere is still one line, and says so', () => {
  for (let len = 0; len < SYN.length / 2; len++) {
    const line = format(SYN.slice(0, 2 * len), SYN.length / 2)
    assert.match(line, /\[\|(ether|ip|tcp)\]/, `${len} bytes`)
  }
})

test('lengths that make no sense are written as they are', () => {
  assert.match(format(SYN.replace('08004500', '08004400')), /bad hdr length 16/)
  assert.match(format(SYN.replace('08004500', '08005500')), /bad version 5/)
  assert.match(format(SYN.replace('4500003c', '45000013')), /bad total length 19/)
  assert.match(format(SYN.replace('a002faf0', '1002faf0')), /bad hdr length 4/)
  assert.match(format(SYN.replace('a002faf0', 'f002faf0')), /bad hdr length 60/)
})

test('the golden frame of these tests is a right one', () => {
  const bytes = Buffer.from(SYN, 'hex')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  assert.equal(checksum.sum(view, 14, 20), 0xffff)
})
