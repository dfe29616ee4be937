/**
 * Which frames of an interface are ours, as eBPF programs for the three places in the kernel where
 * that is decided: XDP hands ours to an AF_XDP socket, a packet socket's filter takes ours and no
 * others, and a TCX link takes ours from the kernel, lest it answers as well. Everything else goes
 * its way: ssh on the same interface notices nothing.
 *
 * Two ways to have an address (`Steering`). One of our own: every packet for it is ours, and so are
 * ARP and neighbour discovery about it. One shared with the kernel: TCP to our port is ours, and
 * ICMP errors about it; the kernel keeps the rest. The first fragment of a shared address's packet
 * is ours by its port, later ones are the kernel's, who has no use for them; IPv6 extension headers
 * before TCP are the kernel's too.
 *
 * The programs are made of constants, so there is no map to look into, and the kernel's verifier
 * sees all there is. Read first: RFC 9669, linux/bpf.h, Documentation/bpf/.
 */
import { ETHERNET_HEADER_LEN } from '../device.ts'
import { Assembler } from './assembler.ts'

export interface Steering {
  /** Ours alone: 4 or 16 bytes each. */
  readonly own: readonly Uint8Array[]
  /** The interface's addresses, of which we have one TCP port. */
  readonly shared: readonly Uint8Array[]
  readonly port: number
}

/** linux/bpf.h: helper functions. */
const SKB_LOAD_BYTES = 26
const REDIRECT_MAP = 51
/** linux/bpf.h: struct __sk_buff; a tag that was taken off a frame, 0 without one. */
const SKB_VLAN_TCI = 24
const VLAN_ID_MASK = 0xfff
/** linux/bpf.h: enum xdp_action; enum tcx_action_base. */
const XDP_DROP = 1
const XDP_PASS = 2
const TCX_NEXT = -1
const TCX_DROP = 2
/** A socket filter's result is how many bytes of the frame are kept. */
const WHOLE_FRAME = 0x7fffffff

/**
 * linux/bpf.h: struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index }.
 */
const XDP_DATA = 0
const XDP_DATA_END = 4
const XDP_RX_QUEUE_INDEX = 16

// Registers by their use
const R0 = 0
const R1 = 1
const R2 = 2
const R3 = 3
const R4 = 4
/** The context; the frame's first byte and end (XDP); how far a field is behind its place. */
const CONTEXT = 6
const DATA = 7
const DATA_END = 8
const EXTRA = 9
const STACK = 10
/** Where on the stack a loaded field goes. */
const SCRATCH = -8

const ETHER_TYPE = 12
const TYPE_IPV4 = 0x0800
const TYPE_ARP = 0x0806
const TYPE_IPV6 = 0x86dd
const TCP = 6
const ICMP = 1
const ICMPV6 = 58
/** RFC 791 §3.1, RFC 8200 §3: fields of the headers, from the frame's first byte on. */
const IP4 = ETHERNET_HEADER_LEN
const IP4_LEN = 20
const IP4_FRAGMENT = IP4 + 6
const IP4_PROTOCOL = IP4 + 9
const IP4_SRC = 12
const IP4_DST = IP4 + 16
const FRAGMENT_OFFSET_MASK = 0x1fff
const IP6 = ETHERNET_HEADER_LEN
const IP6_LEN = 40
const IP6_NEXT = IP6 + 6
const IP6_SRC = 8
const IP6_DST = IP6 + 24
const PORT_DST = 2
/** RFC 826: sender's and target's protocol address. */
const ARP_SPA = ETHERNET_HEADER_LEN + 14
const ARP_TPA = ETHERNET_HEADER_LEN + 24
/** RFC 792, RFC 4443: the packet that an error is about, behind eight bytes. */
const ICMP_LEN = 8
const ICMP_UNREACHABLE = 3
const ICMPV6_UNREACHABLE = 1
const ICMPV6_TOO_BIG = 2
/** RFC 4861 §4.3, §4.4: solicitation and advertisement, the target behind eight bytes. */
const NEIGHBOUR_SOLICITATION = 135
const NEIGHBOUR_ADVERTISEMENT = 136

/** A field of `size` bytes, at `off` in the frame plus what EXTRA holds, into r0; else `next`. */
type Load = (asm: Assembler, size: number, off: number) => void

/** Frames that are ours go to the AF_XDP socket of their queue; a queue without one loses them. */
export function xdpProgram(steering: Steering, xskMap: number): Uint8Array {
  const asm = new Assembler()
  asm.move(CONTEXT, R1)
  asm.load(4, DATA, R1, XDP_DATA)
  asm.load(4, DATA_END, R1, XDP_DATA_END)
  steer(asm, steering, loadFromMemory)
  asm.label('ours')
  asm.loadMap(R1, xskMap)
  asm.load(4, R2, CONTEXT, XDP_RX_QUEUE_INDEX)
  asm.set(R3, XDP_DROP)
  asm.call(REDIRECT_MAP)
  asm.exit()
  return end(asm, XDP_PASS)
}

/** Takes frames that are ours from the kernel; whatever else is attached sees the others. */
export function dropProgram(steering: Steering): Uint8Array {
  const asm = new Assembler()
  asm.move(CONTEXT, R1)
  leaveVlans(asm)
  steer(asm, steering, loadFromBuffer)
  asm.label('ours')
  asm.set(R0, TCX_DROP)
  asm.exit()
  return end(asm, TCX_NEXT)
}

/** Keeps frames that are ours, whole, and no others. */
export function filterProgram(steering: Steering): Uint8Array {
  const asm = new Assembler()
  asm.move(CONTEXT, R1)
  leaveVlans(asm)
  steer(asm, steering, loadFromBuffer)
  asm.label('ours')
  asm.set(R0, WHOLE_FRAME)
  asm.exit()
  return end(asm, 0)
}

/** Keeps no frame at all. */
export function keepNothingProgram(): Uint8Array {
  const asm = new Assembler()
  asm.set(R0, 0)
  asm.exit()
  return asm.bytes()
}

/**
 * Behind XDP a tag is not in the frame any more. One that names a VLAN makes it another network's,
 * whose addresses may be the same; with a priority alone it is of none (IEEE 802.1Q §6.9).
 */
function leaveVlans(asm: Assembler): void {
  asm.load(4, R0, CONTEXT, SKB_VLAN_TCI)
  asm.and(R0, VLAN_ID_MASK)
  asm.jumpIfNot(R0, 0, 'others')
}

function end(asm: Assembler, otherwise: number): Uint8Array {
  asm.label('others')
  asm.set(R0, otherwise)
  asm.exit()
  return asm.bytes()
}

/** XDP: the frame lies in memory, and the verifier wants to see its end looked at. */
const loadFromMemory: Load = (asm, size, off) => {
  asm.move(R1, DATA)
  asm.addRegister(R1, EXTRA)
  asm.move(R2, R1)
  asm.add(R2, off + size)
  asm.jumpIfBehind(R2, DATA_END, 'others')
  asm.load(size, R0, R1, off)
}

/** Later in the kernel a frame may be in pieces. */
const loadFromBuffer: Load = (asm, size, off) => {
  asm.move(R1, CONTEXT)
  asm.move(R2, EXTRA)
  asm.add(R2, off)
  asm.move(R3, STACK)
  asm.add(R3, SCRATCH)
  asm.set(R4, size)
  asm.call(SKB_LOAD_BYTES)
  asm.jumpIfNot(R0, 0, 'others')
  asm.load(size, R0, STACK, SCRATCH)
}

/** Goes on at 'ours' or at 'others'. */
function steer(asm: Assembler, steering: Steering, load: Load): void {
  const versionOf = (length: number) => (address: Uint8Array) => address.length === length
  asm.set(EXTRA, 0)
  load(asm, 2, ETHER_TYPE)
  asm.jumpIfEqual(R0, swap16(TYPE_IPV4), 'ipv4')
  asm.jumpIfEqual(R0, swap16(TYPE_IPV6), 'ipv6')
  asm.jumpIfNot(R0, swap16(TYPE_ARP), 'others')
  const own4 = steering.own.filter(versionOf(4))
  for (const at of [ARP_TPA, ARP_SPA]) jumpToOwn(asm, load, own4, at, 'ours')
  asm.jump('others')
  asm.label('ipv4')
  steerIpv4(asm, load, own4, steering.shared.filter(versionOf(4)), steering.port)
  asm.label('ipv6')
  const own6 = steering.own.filter(versionOf(16))
  steerIpv6(asm, load, own6, steering.shared.filter(versionOf(16)), steering.port)
}

function steerIpv4(
  asm: Assembler,
  load: Load,
  own: readonly Uint8Array[],
  shared: readonly Uint8Array[],
  port: number,
): void {
  jumpToOwn(asm, load, own, IP4_DST, 'ours')
  jumpToOwn(asm, load, shared, IP4_DST, 'shared4')
  asm.jump('others')
  if (shared.length === 0) return
  asm.label('shared4')
  load(asm, 2, IP4_FRAGMENT)
  asm.and(R0, swap16(FRAGMENT_OFFSET_MASK))
  asm.jumpIfNot(R0, 0, 'others')
  load(asm, 1, IP4_PROTOCOL)
  asm.jumpIfEqual(R0, ICMP, 'icmp4')
  asm.jumpIfNot(R0, TCP, 'others')
  addIpv4HeaderLen(asm, load, IP4)
  load(asm, 2, IP4 + PORT_DST)
  jumpIfPort(asm, port)

  asm.label('icmp4')
  addIpv4HeaderLen(asm, load, IP4)
  load(asm, 1, IP4)
  asm.jumpIfNot(R0, ICMP_UNREACHABLE, 'others')
  // What we have sent came from the address that the error went to; options it had none.
  const inner = IP4 + ICMP_LEN
  load(asm, 1, inner + (IP4_PROTOCOL - IP4))
  asm.jumpIfNot(R0, TCP, 'others')
  jumpToOwn(asm, load, shared, inner + IP4_SRC, 'quoted4')
  asm.jump('others')
  asm.label('quoted4')
  load(asm, 2, inner + IP4_LEN)
  jumpIfPort(asm, port)
}

/** EXTRA += the length that the header's first byte tells. */
function addIpv4HeaderLen(asm: Assembler, load: Load, at: number): void {
  load(asm, 1, at)
  asm.and(R0, 0xf)
  asm.shiftLeft(R0, 2)
  asm.addRegister(EXTRA, R0)
}

function steerIpv6(
  asm: Assembler,
  load: Load,
  own: readonly Uint8Array[],
  shared: readonly Uint8Array[],
  port: number,
): void {
  jumpToOwn(asm, load, own, IP6_DST, 'ours')
  jumpToOwn(asm, load, shared, IP6_DST, 'shared6')
  if (own.length > 0) {
    // Neighbour discovery goes to groups: what it is about tells whose it is.
    const target = IP6 + IP6_LEN + 8
    load(asm, 1, IP6_NEXT)
    asm.jumpIfNot(R0, ICMPV6, 'others')
    load(asm, 1, IP6 + IP6_LEN)
    asm.jumpIfEqual(R0, NEIGHBOUR_SOLICITATION, 'ndp')
    asm.jumpIfNot(R0, NEIGHBOUR_ADVERTISEMENT, 'others')
    asm.label('ndp')
    jumpToOwn(asm, load, own, target, 'ours')
  }
  asm.jump('others')
  if (shared.length === 0) return
  asm.label('shared6')
  load(asm, 1, IP6_NEXT)
  asm.jumpIfEqual(R0, ICMPV6, 'icmp6')
  asm.jumpIfNot(R0, TCP, 'others')
  load(asm, 2, IP6 + IP6_LEN + PORT_DST)
  jumpIfPort(asm, port)

  asm.label('icmp6')
  load(asm, 1, IP6 + IP6_LEN)
  asm.jumpIfEqual(R0, ICMPV6_TOO_BIG, 'error6')
  asm.jumpIfNot(R0, ICMPV6_UNREACHABLE, 'others')
  asm.label('error6')
  const inner = IP6 + IP6_LEN + ICMP_LEN
  load(asm, 1, inner + (IP6_NEXT - IP6))
  asm.jumpIfNot(R0, TCP, 'others')
  jumpToOwn(asm, load, shared, inner + IP6_SRC, 'quoted6')
  asm.jump('others')
  asm.label('quoted6')
  load(asm, 2, inner + IP6_LEN)
  jumpIfPort(asm, port)
}

/** Goes on at `to` if one of the addresses lies at `at`, else with what follows. */
function jumpToOwn(
  asm: Assembler,
  load: Load,
  addresses: readonly Uint8Array[],
  at: number,
  to: string,
): void {
  for (const address of addresses) {
    const view = new DataView(address.buffer, address.byteOffset, address.length)
    const next = asm.freshLabel()
    for (let word = 0; word < address.length; word += 4) {
      load(asm, 4, at + word)
      asm.jumpIfNot(R0, view.getInt32(word, true), next)
    }
    asm.jump(to)
    asm.label(next)
  }
}

function jumpIfPort(asm: Assembler, port: number): void {
  asm.jumpIfEqual(R0, swap16(port), 'ours')
  asm.jump('others')
}

/** A value in network order as a little-endian machine loads it. */
const swap16 = (value: number): number => ((value & 0xff) << 8) | (value >> 8)
