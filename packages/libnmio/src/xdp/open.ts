/**
 * Opens an interface through AF_XDP: a socket, and an XDP program that steers what is ours into it
 * (bpf/steer.ts), in the driver where it can, else in the kernel's common code. Main thread, set-up
 * only. The program is attached by a link, and ends with its descriptor, also by kill -9.
 *
 * Until the packet thread has put the socket into the map, what is ours is lost, as if nobody were
 * there yet: clients ask again, and the kernel does not answer for us.
 */
import { xdpProgram } from '../bpf/steer.ts'
import { BATCH_MAX } from '../device.ts'
import { opening } from '../handle.ts'
import { claim } from '../nic/claim.ts'
import { groupMacs } from '../nic/groups.ts'
import { type NicOptions, type NicPlan, planNic } from '../nic/plan.ts'
import { ONE_WORKER, type Spread } from '../spread/flow.ts'
import * as bpf from '../sys/bpf.ts'
import { EBUSY, EEXIST, EINVAL, SysError } from '../sys/errno.ts'
import { receiveQueues } from '../sys/ethtool.ts'
import { libc } from '../sys/libc.ts'
import { bindPacketSocket, joinGroup, openPacketSocket } from '../sys/packet.ts'
import { prefixText } from '../sys/prefix.ts'
import { openWakeFd } from '../sys/waiter.ts'
import { hasMultiBuffer, openXskSocket, preferBusyPolling } from '../sys/xsk.ts'
import type { XdpHandle } from './handle.ts'
import { isMultiBuffer, MTU_MAX, MTU_ONE_CHUNK } from './layout.ts'

/**
 * linux/if_ether.h: for experiments; a socket bound to a protocol that nobody speaks costs nothing.
 */
const ETH_P_802_EX1 = 0x88b5

/** What the caller wants of an interface, over AF_XDP. */
export interface XdpOptions extends NicOptions {
  /**
   * SO_BUSY_POLL, microseconds: calls on the socket run the driver's receive routine; 0, the
   * default: interrupts do.
   */
  readonly busyPollUs?: number
}

/** Opens what `options` describes, with one queue. Throws SysError, whose hint says what to do. */
export const openXdp = (options: XdpOptions): XdpHandle => openXdpQueues(options, ONE_WORKER)[0]

/**
 * Opens a socket for each worker, on a queue of the interface's own; which flows come there is the
 * NIC's choice.
 */
export function openXdpQueues(options: XdpOptions, spread: Spread): XdpHandle[] {
  const plan = planNic('xdp', options)
  const { link, isShared, steering } = plan
  const { busyPollUs = 0 } = options
  checkQueues(plan, spread.count)
  return opening<XdpHandle>(own => {
    claim(plan, own)
    const fds = Array.from({ length: spread.count }, () => own(openXskSocket()))
    if (busyPollUs > 0) for (const fd of fds) preferBusyPolling(fd, busyPollUs, BATCH_MAX)
    // One for each: an error is told to who asks first, and no other.
    const watchFds = fds.map(() => own(watchInterface(link.index)))
    for (const group of groupMacs(steering.own)) joinGroup(watchFds[0], link.index, group)
    const xskMap = own(bpf.createXskMap(spread.count))
    const isJumbo = isMultiBuffer(link.mtu) && hasMultiBuffer(fds[0])
    const { isNative, mtuMax } = attach(plan, xskMap, isJumbo, own)
    if (options.mtu !== undefined && options.mtu > mtuMax) throw tooLarge(plan, mtuMax)
    const rest = {
      name: link.name,
      xskMap,
      ifindex: link.index,
      isBusyPolled: busyPollUs > 0,
      isNative,
      mtu: Math.min(plan.mtu, mtuMax),
      mac: link.mac,
      addresses: plan.addresses.map(prefixText),
      isShared,
      isVirtual: link.kind !== '',
    }
    return fds.map((fd, queue) => {
      const isBound = new Int32Array(new SharedArrayBuffer(4))
      const watchFd = watchFds[queue]
      return { kind: 'xdp', ...rest, fd, watchFd, queue, isBound, wakeFd: own(openWakeFd()) }
    })
  })
}

/** A socket that hears nothing but that the interface is down, or gone. */
function watchInterface(ifindex: number): number {
  const fd = openPacketSocket()
  try {
    bindPacketSocket(fd, ifindex, ETH_P_802_EX1)
    return fd
  } catch (error) {
    libc().close(fd)
    throw error
  }
}

/**
 * A frame in a queue that nobody looks into would be lost, and a worker without one could not send.
 */
function checkQueues({ link }: NicPlan, workers: number): void {
  const { count, isCombined } = receiveQueues(link.name)
  if (count === workers) return
  const channels = isCombined ? `combined ${workers}` : `rx ${workers} tx ${workers}`
  const hint = `a worker looks into one: sudo ethtool -L ${link.name} ${channels}; or use --device packet:${link.name}`
  const what = `xdp:${link.name} has ${count} receive queue${count > 1 ? 's' : ''} for ${workers} worker${workers > 1 ? 's' : ''}`
  throw new SysError(what, EINVAL, hint)
}

interface Attached {
  readonly isNative: boolean
  readonly mtuMax: number
}

/**
 * In the driver rather than behind it; if `isJumbo`, for packets in several chunks rather than in
 * one.
 */
function attach(
  { link, steering }: NicPlan,
  map: number,
  isJumbo: boolean,
  own: (fd: number) => number,
): Attached {
  const instructions = xdpProgram(steering, map)
  const ways = [bpf.XDP_FLAGS_DRV_MODE, bpf.XDP_FLAGS_SKB_MODE].flatMap(mode =>
    (isJumbo ? [bpf.XDP_HAS_FRAGS, 0] : [0]).map(flags => ({ mode, flags })),
  )
  let refusal: unknown
  for (const { mode, flags } of ways) {
    const program = bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, instructions, flags)
    try {
      own(bpf.linkProgram(program, link.index, bpf.ATTACH_XDP, mode))
      const isNative = mode === bpf.XDP_FLAGS_DRV_MODE
      return { isNative, mtuMax: flags === 0 ? MTU_ONE_CHUNK : MTU_MAX }
    } catch (error) {
      const errno = error instanceof SysError ? error.errno : 0
      // In both modes at once there can be no two programs either.
      if (errno === EBUSY || errno === EEXIST) throw taken(link.name)
      refusal = error
    } finally {
      libc().close(program)
    }
  }
  throw refusal
}

function tooLarge({ link, mtu }: NicPlan, mtuMax: number): SysError {
  const why = mtuMax === MTU_MAX ? '' : '; more needs Linux 6.6 and multi-buffer in the driver'
  return new SysError(`xdp:${link.name}: MTU ${mtu}`, EINVAL, `give ${mtuMax} at most${why}`)
}

const taken = (name: string): SysError =>
  new SysError(
    `xdp:${name}`,
    EBUSY,
    `another program is attached to it (ip link show ${name}); stop that, or use --device packet:${name}`,
  )
