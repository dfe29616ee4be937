/**
 * Opens an interface through AF_PACKET: a socket that receives what is ours, and a TCX link that takes
 * it from the kernel (bpf/steer.ts). Main thread, set-up only. Both end with their descriptors, also
 * by kill -9.
 */
import { dropProgram, filterProgram, type Steering } from '../bpf/steer.ts'
import { opening } from '../handle.ts'
import { claim } from '../nic/claim.ts'
import { groupMacs } from '../nic/groups.ts'
import { type NicOptions, planNic } from '../nic/plan.ts'
import * as bpf from '../sys/bpf.ts'
import { EINVAL, SysError } from '../sys/errno.ts'
import { libc } from '../sys/libc.ts'
import * as packet from '../sys/packet.ts'
import { prefixText } from '../sys/prefix.ts'
import { openWakeFd } from '../sys/waiter.ts'
import type { PacketHandle } from './handle.ts'

/** What is in front of a frame in its slot: tpacket2_hdr, sockaddr_ll, virtio_net_hdr, alignment. */
const SLOT_HEAD_BYTES = 112
/** A burst of so many frames finds room; jumbo frames have fewer and larger slots. */
const SLOTS = 2048
const JUMBO_SLOTS = 1024
/** What may wait in the interface's queue, and of frames too long for a slot: some bursts. */
const SEND_BUFFER_BYTES = 8 << 20
const RECEIVE_BUFFER_BYTES = 4 << 20

/** Opens what `options` describes. Throws SysError, whose hint says what to do. */
export function openPacket(options: NicOptions): PacketHandle {
  const plan = planNic('packet', options)
  const { link, mtu, isShared, steering } = plan
  return opening<PacketHandle>(own => {
    claim(plan, own)
    const fd = own(packet.openPacketSocket())
    packet.setPacketMode(fd)
    const ring = ringFor(mtu)
    packet.setReceiveRing(fd, ring)
    packet.setBuffers(fd, SEND_BUFFER_BYTES, RECEIVE_BUFFER_BYTES)
    const filter = filterProgram(steering)
    const program = bpf.loadProgram(bpf.PROG_TYPE_SOCKET_FILTER, 0, filter)
    packet.attachFilter(fd, program)
    libc().close(program)
    for (const group of groupMacs(steering.own)) packet.joinGroup(fd, link.index, group)
    own(quietenKernel(link.index, steering))
    packet.bindPacketSocket(fd, link.index)
    const wakeFd = own(openWakeFd())
    return {
      kind: 'packet',
      name: link.name,
      fd,
      wakeFd,
      ifindex: link.index,
      mtu,
      mac: link.mac,
      ring,
      addresses: plan.addresses.map(prefixText),
      isShared,
      offloads: options.offloads,
    }
  })
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
  const program = bpf.loadProgram(PROG_TYPE_SCHED_CLS, ATTACH_TCX_INGRESS, dropProgram(steering))
  try {
    return bpf.linkProgram(program, ifindex, ATTACH_TCX_INGRESS)
  } catch (error) {
    const isOld = error instanceof SysError && error.errno === EINVAL
    if (!isOld) throw error
    throw new SysError('attach to TCX', EINVAL, 'this needs Linux 6.6; use --device tap')
  } finally {
    libc().close(program)
  }
}
