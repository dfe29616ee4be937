/**
 * An assembler for as much of eBPF as our programs need (RFC 9669): instructions of eight bytes,
 *
 *   0 opcode(8)  1 dst register(4) src register(4)  2 offset(16)  4 immediate(32)
 *
 * in the order in which they are written, jumps by the name of their target. Set-up only. Registers
 * are r0 (results), r1 … r5 (arguments, lost in a call), r6 … r9 (kept), r10 (the stack's end).
 */
import { assert } from '../assert.ts'

const INSTRUCTION_LEN = 8

/** RFC 9669 §3: instruction classes, sizes, operations and the source of an operand. */
const LD_IMM64 = 0x18
const LDX = 0x61
const ALU = 0x04
const ALU64 = 0x07
const JMP = 0x05
const JMP32 = 0x06
const MOV = 0xb0
const ADD = 0x00
const AND = 0x50
const LSH = 0x60
const RSH = 0x70
const MUL = 0x20
const XOR = 0xa0
/** RFC 9669 §4.2: to the network's order. */
const TO_BIG_ENDIAN = 0xdc
const JA = 0x00
const JEQ = 0x10
const JGT = 0x20
const JNE = 0x50
const CALL = 0x85
const EXIT = 0x95
const BY_REGISTER = 0x08
/** RFC 9669 §5.4: the immediate of a 64-bit load is a map's descriptor. */
const PSEUDO_MAP_FD = 1

/** RFC 9669 §5.2: how much a load reads; the opcode's bits. */
const SIZES: Record<number, number> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 }

interface Jump {
  readonly at: number
  readonly label: string
}

export class Assembler {
  readonly #code: number[] = []
  readonly #labels = new Map<string, number>()
  readonly #jumps: Jump[] = []
  #fresh = 0

  /** A name that no other label has. */
  freshLabel(): string {
    return `#${this.#fresh++}`
  }

  /** Names the next instruction. */
  label(name: string): void {
    assert(!this.#labels.has(name), 'a label is set once')
    this.#labels.set(name, this.#count)
  }

  /** dst = value */
  set(dst: number, value: number): void {
    this.#emit(ALU64 | MOV, dst, 0, 0, value)
  }
  /** dst = src */
  move(dst: number, src: number): void {
    this.#emit(ALU64 | MOV | BY_REGISTER, dst, src, 0, 0)
  }
  /** dst += value */
  add(dst: number, value: number): void {
    this.#emit(ALU64 | ADD, dst, 0, 0, value)
  }
  /** dst += src */
  addRegister(dst: number, src: number): void {
    this.#emit(ALU64 | ADD | BY_REGISTER, dst, src, 0, 0)
  }
  /** dst &= value */
  and(dst: number, value: number): void {
    this.#emit(ALU64 | AND, dst, 0, 0, value)
  }
  /** dst <<= bits */
  shiftLeft(dst: number, bits: number): void {
    this.#emit(ALU64 | LSH, dst, 0, 0, bits)
  }
  /** The low 32 bits of dst, and no others: ^= src, … */
  xorRegister(dst: number, src: number): void {
    this.#emit(ALU | XOR | BY_REGISTER, dst, src, 0, 0)
  }
  /** … ^= value, … */
  xor(dst: number, value: number): void {
    this.#emit(ALU | XOR, dst, 0, 0, value)
  }
  /** … *= value, … */
  multiply(dst: number, value: number): void {
    this.#emit(ALU | MUL, dst, 0, 0, value)
  }
  /** … >>>= bits, … */
  shiftRight(dst: number, bits: number): void {
    this.#emit(ALU | RSH, dst, 0, 0, bits)
  }
  /** … their bytes swapped where the machine is little-endian. */
  bigEndian(dst: number): void {
    this.#emit(TO_BIG_ENDIAN, dst, 0, 0, 32)
  }

  /** dst = the `size` bytes at address + off, in the machine's order */
  load(size: number, dst: number, address: number, off: number): void {
    this.#emit(LDX | SIZES[size], dst, address, off, 0)
  }
  /** dst = the map of this descriptor */
  loadMap(dst: number, fd: number): void {
    this.#emit(LD_IMM64, dst, PSEUDO_MAP_FD, 0, fd)
    this.#emit(0, 0, 0, 0, 0)
  }

  /** Goes on at `label`, always, … */
  jump(label: string): void {
    this.#emitJump(JMP | JA, 0, 0, 0, label)
  }
  /** … if the low 32 bits of dst are `value`, … */
  jumpIfEqual(dst: number, value: number, label: string): void {
    this.#emitJump(JMP32 | JEQ, dst, 0, value, label)
  }
  /** … if they are not, … */
  jumpIfNot(dst: number, value: number, label: string): void {
    this.#emitJump(JMP32 | JNE, dst, 0, value, label)
  }
  /** … if the address in dst lies behind that in src. */
  jumpIfBehind(dst: number, src: number, label: string): void {
    this.#emitJump(JMP | JGT | BY_REGISTER, dst, src, 0, label)
  }

  /** r0 = the helper of this number (linux/bpf.h: __BPF_FUNC_MAPPER), of r1 … r5 */
  call(helper: number): void {
    this.#emit(CALL, 0, 0, 0, helper)
  }
  /** The program's result is r0. */
  exit(): void {
    this.#emit(EXIT, 0, 0, 0, 0)
  }

  /** The finished program. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.#code)
    const view = new DataView(bytes.buffer)
    for (const { at, label } of this.#jumps) {
      const target = this.#labels.get(label)
      assert(target !== undefined, 'every jump has its target')
      view.setInt16(at * INSTRUCTION_LEN + 2, target - at - 1, true)
    }
    return bytes
  }

  get #count(): number {
    return this.#code.length / INSTRUCTION_LEN
  }

  #emit(opcode: number, dst: number, src: number, off: number, imm: number): void {
    const view = new DataView(new ArrayBuffer(INSTRUCTION_LEN))
    view.setUint8(0, opcode)
    view.setUint8(1, dst | (src << 4))
    view.setInt16(2, off, true)
    view.setInt32(4, imm, true)
    this.#code.push(...new Uint8Array(view.buffer))
  }

  #emitJump(opcode: number, dst: number, src: number, imm: number, label: string): void {
    this.#jumps.push({ at: this.#count, label })
    this.#emit(opcode, dst, src, 0, imm)
  }
}
