/**
 * Runs a loaded BPF program on a frame, as the kernel would where it is attached
 * (BPF_PROG_TEST_RUN).
 */
import { check, libc } from '../src/sys/libc.ts'

const BPF_PROG_TEST_RUN = 10

/**
 * What the program returns. linux/bpf.h: { u32 prog_fd, retval, data_size_in, data_size_out; u64
 * data_in, … }.
 */
export function runProgram(program: number, frame: Uint8Array): number {
  const attr = new Uint8Array(128)
  const view = new DataView(attr.buffer)
  view.setInt32(0, program, true)
  view.setUint32(8, frame.length, true)
  view.setBigUint64(16, BigInt(libc().addressOf(frame)), true)
  view.setUint32(32, 1, true) // repeat
  const number = process.arch === 'x64' ? 321 : 280
  check(libc().syscall(number, BPF_PROG_TEST_RUN, attr, attr.length), 'BPF_PROG_TEST_RUN')
  return view.getInt32(4, true)
}
