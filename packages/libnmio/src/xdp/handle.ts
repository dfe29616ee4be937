/** An AF_XDP socket of an interface as plain data (handle.ts). */
import type { OpenHandle } from '../handle.ts'

export interface XdpHandle extends OpenHandle {
  readonly kind: 'xdp'
  /** The socket; its memory and rings are made by XdpDevice, whose region they are in. */
  readonly fd: number
  /** A packet socket that fails when the interface does, which AF_XDP's poll(2) does not tell. */
  readonly watchFd: number
  /** The map from queue to socket that our program looks into. */
  readonly xskMap: number
  readonly ifindex: number
  readonly queue: number
  /** One word, shared: 1: the socket has its memory, rings and queue, from a thread that died. */
  readonly isBound: Int32Array
  /** The driver's receive routine is run by our calls. */
  readonly isBusyPolled: boolean
  /** The program runs in the driver; else in the kernel's common code, later and slower. */
  readonly isNative: boolean
  /** Ours, with subnets; the kernel's too if `isShared`. */
  readonly addresses: readonly string[]
  readonly isShared: boolean
  /** Frames come from this machine's kernel, which may have left their checksums to hardware. */
  readonly isVirtual: boolean
}
