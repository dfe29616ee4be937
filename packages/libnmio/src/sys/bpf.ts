/**
 * bpf(2) (linux/bpf.h): maps, programs and links. A link is an attachment that belongs to its
 * descriptor: it ends with the process, however that ends, and nothing is left on the interface.
 * Set-up only.
 */

import { EACCES, EAGAIN, EINVAL, EPERM, SysError } from './errno.ts'
import { libc } from './libc.ts'
import { NIC_RIGHTS_HINT } from './rights.ts'

/** asm/unistd_64.h on x64, asm-generic/unistd.h elsewhere. */
const SYS_BPF = process.arch === 'x64' ? 321 : 280

/** linux/bpf.h: enum bpf_cmd. */
const MAP_CREATE = 0
const MAP_UPDATE_ELEM = 2
const PROG_LOAD = 5
const LINK_CREATE = 28

/** linux/bpf.h: enum bpf_map_type. */
const MAP_TYPE_XSKMAP = 17
/** linux/bpf.h: enum bpf_prog_type. */
export const PROG_TYPE_SOCKET_FILTER = 1
export const PROG_TYPE_SCHED_CLS = 3
export const PROG_TYPE_XDP = 6
/** linux/bpf.h: enum bpf_attach_type. */
export const ATTACH_XDP = 37
export const ATTACH_TCX_INGRESS = 46
/** linux/bpf.h: an XDP program that does not mind packets in several buffers. */
export const XDP_HAS_FRAGS = 32
/** linux/if_link.h: in the interface's driver, or in the kernel's common code. */
export const XDP_FLAGS_SKB_MODE = 2
export const XDP_FLAGS_DRV_MODE = 4

/** linux/bpf.h: union bpf_attr is longer, the kernel takes what is missing for zero. */
const ATTR_LEN = 128
const LOG_LEN = 65536

/** One attribute structure: little-endian fields at their offsets. */
class Attributes {
  readonly bytes = new Uint8Array(ATTR_LEN)
  readonly #view = new DataView(this.bytes.buffer)

  u32(at: number, value: number): this {
    this.#view.setInt32(at, value, true)
    return this
  }

  /** The address of `bytes`, whom the caller keeps alive. */
  pointer(at: number, bytes: Uint8Array): this {
    this.#view.setBigUint64(at, BigInt(libc().addressOf(bytes)), true)
    return this
  }
}

/** The verifier stops with EAGAIN when a signal comes in; kernel/bpf/verifier.c: do_check. */
const ATTEMPTS = 10

function bpf(what: string, command: number, attributes: Attributes): number {
  const c = libc()
  let errno = EAGAIN
  for (let attempt = 0; errno === EAGAIN && attempt < ATTEMPTS; attempt++) {
    const result = c.syscall(SYS_BPF, command, attributes.bytes, ATTR_LEN)
    if (result >= 0) return result
    errno = c.errno()
  }
  throw new SysError(what, errno, errno === EPERM ? NIC_RIGHTS_HINT : '')
}

/** A map from queue to AF_XDP socket; returns its descriptor. */
export function createXskMap(queues: number): number {
  const attributes = new Attributes()
    .u32(0, MAP_TYPE_XSKMAP) // map_type
    .u32(4, 4) // key_size
    .u32(8, 4) // value_size
    .u32(12, queues) // max_entries
  return bpf('create an XSKMAP', MAP_CREATE, attributes)
}

/** map[key] = value, both u32. */
export function updateMap(map: number, key: number, value: number): void {
  const keyBytes = new Uint8Array(Uint32Array.of(key).buffer)
  const valueBytes = new Uint8Array(Int32Array.of(value).buffer)
  const attributes = new Attributes().u32(0, map).pointer(8, keyBytes).pointer(16, valueBytes)
  bpf('update an XSKMAP', MAP_UPDATE_ELEM, attributes)
}

/**
 * Loads a program and returns its descriptor. The verifier's objections are in the error's hint.
 */
export function loadProgram(type: number, attach: number, program: Uint8Array, flags = 0): number {
  const license = new TextEncoder().encode('GPL\0')
  const log = new Uint8Array(LOG_LEN)
  const attributes = new Attributes()
    .u32(0, type) // prog_type
    .u32(4, program.length / 8) // insn_cnt
    .pointer(8, program) // insns
    .pointer(16, license)
    .u32(44, flags) // prog_flags
    .u32(68, attach) // expected_attach_type
  try {
    return bpf('load a BPF program', PROG_LOAD, attributes)
  } catch (error) {
    const isRejected = error instanceof SysError && [EINVAL, EACCES].includes(error.errno)
    if (!isRejected) throw error
    attributes.u32(24, 1).u32(28, LOG_LEN).pointer(32, log) // log_level, log_size, log_buf
    libc().syscall(SYS_BPF, PROG_LOAD, attributes.bytes, ATTR_LEN)
    const said = new TextDecoder().decode(log).replace(/\0.*$/s, '').trim()
    const why = said.split('\n').slice(-4).join('; ')
    const isRight = error.errno === EACCES && /!root|unpriv/.test(why)
    throw new SysError('load a BPF program', error.errno, isRight ? NIC_RIGHTS_HINT : why)
  }
}

/** Attaches a program to an interface until the returned descriptor is closed. */
export function linkProgram(prog: number, ifindex: number, attach: number, flags = 0): number {
  const attributes = new Attributes().u32(0, prog).u32(4, ifindex).u32(8, attach).u32(12, flags)
  return bpf('attach a BPF program', LINK_CREATE, attributes)
}
