/**
 * Opens an interface through AF_PACKET: a socket that receives what is ours, and a TCX link that
 * takes it from the kernel (bpf/steer.ts). Main thread, set-up only. Both end with their
 * descriptors, also by kill -9.
 */
import { spreadProgram } from '../bpf/spread.ts'
import { dropProgram, filterProgram, keepNothingProgram, type Steering } from '../bpf/steer.ts'
import { opening } from '../handle.ts'
import { claim } from '../nic/claim.ts'
import { groupMacs } from '../nic/groups.ts'
import { type NicOptions, planNic } from '../nic/plan.ts'
import { ONE_WORKER, type Spread } from '../spread/flow.ts'
import * as bpf from '../sys/bpf.ts'
import { EINVAL, SysError } from '../sys/errno.ts'
import { libc } from '../sys/libc.ts'
import * as packet from '../sys/packet.ts'
import { prefixText } from '../sys/prefix.ts'
import { openWakeFd } from '../sys/waiter.ts'
import type { PacketHandle } from './handle.ts'

/**
 * What is in front of a frame in its slot: tpacket2_hdr, sockaddr_ll, virtio_net_hdr, alignment.
 */
const SLOT_HEAD_BYTES = 112
/** A burst of so many frames finds room; jumbo frames have fewer and larger slots. */
const SLOTS = 2048
const JUMBO_SLOTS = 1024
/** What may wait in the interface's queue, and of frames too long for a slot: some bursts. */
const SEND_BUFFER_BYTES = 8 << 20
const RECEIVE_BUFFER_BYTES = 4 << 20

/** Opens what `options` describes, with one socket. Throws SysError, whose hint says what to do. */
export const openPacket = (options: NicOptions): PacketHandle =>
  openPacketQueues(options, ONE_WORKER)[0]

/** Opens a socket for each worker; a flow's frames come to its worker's. */
export function openPacketQueues(options: NicOptions, spread: Spread): PacketHandle[] {
  const plan = planNic('packet', options)
  const { link, mtu, isShared, steering } = plan
  return opening<PacketHandle>(own => {
    claim(plan, own)
    const ring = ringFor(mtu)
    const fds = Array.from({ length: spread.count }, () => own(openSocket(ring)))
    for (const fd of fds) packet.bindPacketSocket(fd, link.index)
    if (spread.count > 1) formGroup(fds, spread)
    // Only now anything is received, and so nothing twice.
    withProgram(bpf.PROG_TYPE_SOCKET_FILTER, 0, filterProgram(steering), program => {
      for (const fd of fds) packet.attachFilter(fd, program)
    })
    for (const group of groupMacs(steering.own)) packet.joinGroup(fds[0], link.index, group)
    own(quietenKernel(link.index, steering))
    const rest = {
      name: link.name,
      ifindex: link.index,
      mtu,
      mac: link.mac,
      ring,
      addresses: plan.addresses.map(prefixText),
      isShared,
      offloads: options.offloads,
    }
    return fds.map(fd => {
      const position = new Int32Array(new SharedArrayBuffer(4))
      return { kind: 'packet', ...rest, fd, wakeFd: own(openWakeFd()), position }
    })
  })
}

/** With its ring, and deaf at first. */
function openSocket(ring: packet.PacketRing): number {
  const fd = packet.openPacketSocket()
  try {
    packet.setPacketMode(fd)
    packet.setReceiveRing(fd, ring)
    packet.setBuffers(fd, SEND_BUFFER_BYTES, RECEIVE_BUFFER_BYTES)
    withProgram(bpf.PROG_TYPE_SOCKET_FILTER, 0, keepNothingProgram(), program => {
      packet.attachFilter(fd, program)
    })
    return fd
  } catch (error) {
    libc().close(fd)
    throw error
  }
}

function formGroup(fds: readonly number[], spread: Spread): void {
  withProgram(bpf.PROG_TYPE_SOCKET_FILTER, 0, spreadProgram(spread), program => {
    packet.joinFanout(fds, program)
  })
}

/** Loads a program for as long as `use` takes; what it is attached to keeps it. */
function withProgram<T>(
  type: number,
  attach: number,
  bytes: Uint8Array,
  use: (program: number) => T,
): T {
  const program = bpf.loadProgram(type, attach, bytes)
  try {
    return use(program)
  } finally {
    libc().close(program)
  }
}

/** A slot holds a frame of the MTU. */
function ringFor(mtu: number): packet.PacketRing {
  let slotBytes = 2048
  while (slotBytes < mtu + SLOT_HEAD_BYTES) slotBytes *= 2
  return { slotBytes, slotCount: slotBytes === 2048 ? SLOTS : JUMBO_SLOTS }
}

/** The kernel does not see our frames, lest it answers them, or forwards them. */
function quietenKernel(ifindex: number, steering: Steering): number {
  const { PROG_TYPE_SCHED_CLS, ATTACH_TCX_INGRESS } = bpf
  try {
    return withProgram(PROG_TYPE_SCHED_CLS, ATTACH_TCX_INGRESS, dropProgram(steering), program =>
      bpf.linkProgram(program, ifindex, ATTACH_TCX_INGRESS),
    )
  } catch (error) {
    const isOld = error instanceof SysError && error.errno === EINVAL
    if (!isOld) throw error
    throw new SysError('attach to TCX', EINVAL, 'this needs Linux 6.6; use --device tap')
  }
}
