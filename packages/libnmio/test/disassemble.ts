/**
 * eBPF as text, decoded from the tables of RFC 9669 §4 and §5 without a look at the assembler: what
 * the tests hold its bytes against.
 */

const ALU: Record<number, string> = {
  0: '+=',
  2: '*=',
  5: '&=',
  6: '<<=',
  7: '>>=',
  10: '^=',
  11: '=',
}
const JUMP: Record<number, string> = { 1: '==', 2: '>', 5: '!=' }
const WIDTH: Record<number, string> = { 0: 'u32', 1: 'u16', 2: 'u8', 3: 'u64' }

/** One line an instruction, jumps with the number of the one they lead to. */
export function listing(program: Uint8Array): string {
  const view = new DataView(program.buffer, program.byteOffset, program.length)
  let text = ''
  for (let i = 0; i < program.length / 8; i++) {
    const at = i * 8
    const opcode = view.getUint8(at)
    const dst = `r${view.getUint8(at + 1) & 0xf}`
    const src = view.getUint8(at + 1) >> 4
    const off = view.getInt16(at + 2, true)
    const imm = view.getInt32(at + 4, true)
    const operand = opcode & 0x08 ? `r${src}` : `${imm}`
    text += `${i}: ${decode(opcode, dst, src, off, imm, operand, i)}\n`
    if (opcode === 0x18) i++
  }
  return text
}

function decode(
  opcode: number,
  dst: string,
  src: number,
  off: number,
  imm: number,
  operand: string,
  i: number,
): string {
  const operation = opcode >> 4
  switch (opcode & 0x07) {
    case 0: // LD: only the load of 64 bits, here of a map
      return opcode === 0x18 && src === 1 ? `${dst} = map ${imm}` : '?'
    case 1: // LDX
      return `${dst} = *(${WIDTH[(opcode >> 3) & 3]}*)(r${src} ${off < 0 ? '-' : '+'} ${Math.abs(off)})`
    case 4: // ALU
      if (opcode === 0xdc) return `w${dst.slice(1)} = be${imm} w${dst.slice(1)}`
      return `w${dst.slice(1)} ${ALU[operation]} ${operand.replace('r', 'w')}`
    case 5: // JMP
      if (opcode === 0x05) return `goto ${i + 1 + off}`
      if (opcode === 0x85) return `call ${imm}`
      if (opcode === 0x95) return 'exit'
      return `if ${dst} ${JUMP[operation]} ${operand} goto ${i + 1 + off}`
    case 6: // JMP32
      return `if w${dst.slice(1)} ${JUMP[operation]} ${operand} goto ${i + 1 + off}`
    case 7: // ALU64
      return `${dst} ${ALU[operation]} ${operand}`
    default:
      return '?'
  }
}
