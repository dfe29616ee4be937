/**
 * The kernel's part of spreading flows over workers (spread/flow.ts): the number of the queue for a
 * packet, by the same hash, as a program for a TAP's queues (tuntap.rst: TUNSETSTEERINGEBPF) and
 * for a group of packet sockets (packet(7): PACKET_FANOUT_EBPF). Only what is common is looked at:
 * TCP right behind the IP header. The rest goes to worker 0, who hands on what is not its own.
 */
import { FIRST_WORKER, HASH_MULTIPLIER, type Spread } from '../spread/flow.ts'
import { Assembler } from './assembler.ts'

/** linux/bpf.h: a helper function, and what its offsets count from. */
const SKB_LOAD_BYTES_RELATIVE = 68
const HDR_START_NET = 1
/** linux/bpf.h: struct __sk_buff. */
const SKB_PROTOCOL = 16

const R0 = 0
const R1 = 1
const R2 = 2
const R3 = 3
const R4 = 4
const R5 = 5
/** The context; where TCP begins; the address's share. */
const CONTEXT = 6
const NEXT = 7
const ADDRESS = 8
const STACK = 10
const SCRATCH = -8

/** Ethertypes as a little-endian machine loads them. */
const IPV4 = 0x0008
const IPV6 = 0xdd86
const TCP = 6
const IPV4_PROTOCOL = 9
const IPV4_SRC = 12
const IPV6_NEXT = 6
const IPV6_SRC = 8
const IPV6_LEN = 40

export function spreadProgram({ count, key }: Spread): Uint8Array {
  const asm = new Assembler()
  asm.move(CONTEXT, R1)
  asm.set(NEXT, 0)
  asm.set(ADDRESS, 0)
  asm.load(4, R0, CONTEXT, SKB_PROTOCOL)
  asm.jumpIfEqual(R0, IPV4, 'ipv4')
  asm.jumpIfNot(R0, IPV6, 'first')
  load(asm, 1, IPV6_NEXT)
  asm.jumpIfNot(R0, TCP, 'first')
  for (let word = 0; word < 16; word += 4) xorAddress(asm, IPV6_SRC + word)
  asm.set(NEXT, IPV6_LEN)
  asm.jump('ports')

  asm.label('ipv4')
  load(asm, 1, IPV4_PROTOCOL)
  asm.jumpIfNot(R0, TCP, 'first')
  xorAddress(asm, IPV4_SRC)
  load(asm, 1, 0)
  asm.and(R0, 0xf)
  asm.shiftLeft(R0, 2)
  asm.move(NEXT, R0)

  asm.label('ports')
  load(asm, 4, 0)
  asm.bigEndian(R0)
  asm.xorRegister(R0, ADDRESS)
  asm.xor(R0, key)
  asm.multiply(R0, HASH_MULTIPLIER | 0)
  asm.shiftRight(R0, 16)
  asm.multiply(R0, count)
  asm.shiftRight(R0, 16)
  asm.exit()

  asm.label('first')
  asm.set(R0, FIRST_WORKER)
  asm.exit()
  return asm.bytes()
}

/**
 * r0 = the `size` bytes at `off` in the packet plus what NEXT holds; a packet too short is worker
 * 0's.
 */
function load(asm: Assembler, size: number, off: number): void {
  asm.move(R1, CONTEXT)
  asm.move(R2, NEXT)
  asm.add(R2, off)
  asm.move(R3, STACK)
  asm.add(R3, SCRATCH)
  asm.set(R4, size)
  asm.set(R5, HDR_START_NET)
  asm.call(SKB_LOAD_BYTES_RELATIVE)
  asm.jumpIfNot(R0, 0, 'first')
  asm.load(size, R0, STACK, SCRATCH)
}

function xorAddress(asm: Assembler, off: number): void {
  load(asm, 4, off)
  asm.bigEndian(R0)
  asm.xorRegister(ADDRESS, R0)
}
