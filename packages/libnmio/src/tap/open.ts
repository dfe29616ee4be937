/**
 * Opens a TAP: makes the interface, or attaches to one that an administrator made for this user
 * (`ip tuntap add … user …`), and configures it. Main thread, set-up only.
 *
 * Invariants: one opener per name (a lock, IFF_TUN_EXCL); an interface that we made disappears with
 * our descriptor, also by kill -9; on any failure everything opened here is closed again.
 * Read first: Documentation/networking/tuntap.rst, drivers/net/tun.c (tun_set_iff).
 */

import { userInfo } from 'node:os'
import { spreadProgram } from '../bpf/spread.ts'
import { opening } from '../handle.ts'
import { ONE_WORKER, type Spread } from '../spread/flow.ts'
import { loadProgram, PROG_TYPE_SOCKET_FILTER } from '../sys/bpf.ts'
import { EBUSY, EEXIST, EINVAL, ENODEV, EPERM, SysError } from '../sys/errno.ts'
import { libc } from '../sys/libc.ts'
import {
  addAddress,
  type Link,
  type LinkChange,
  listAddresses,
  listLinks,
  setLink,
} from '../sys/links.ts'
import { isIpv6Prefix, isSameAddress, type Prefix, prefixText } from '../sys/prefix.ts'
import { setcap } from '../sys/rights.ts'
import * as tun from '../sys/tun.ts'
import { openWakeFd } from '../sys/waiter.ts'
import { VNET_HDR_LEN } from '../vnet.ts'
import { busy, lockName, type TapHandle } from './handle.ts'
import { checkAddresses, planTap, type TapOptions, type TapPlan } from './options.ts'

const MTU_DEFAULT = 1500
const FEATURES = tun.TUN_F_CSUM | tun.TUN_F_TSO4 | tun.TUN_F_TSO6 | tun.TUN_F_TSO_ECN
/** Frames that the kernel keeps for us; its own 500 drops the bursts of a few dozen connections. */
const TX_QUEUE_LEN = 4096

/** Opens what `options` describes, with one queue. Throws SysError, whose hint says what to do. */
export const openTap = (options: TapOptions): TapHandle => openTapQueues(options, ONE_WORKER)[0]

/**
 * Opens a queue for each worker; a flow's packets come to its worker's, where the kernel can be
 * told so.
 */
export function openTapQueues(options: TapOptions, spread: Spread): TapHandle[] {
  const wantsMany = spread.count > 1
  const plan = planTap(wantsMany ? { ...options, multiQueue: true } : options)
  const { name, mac, offloads } = plan
  return opening<TapHandle>(own => {
    own(lockName(name))
    const links = listLinks()
    const link = links.find(link => link.name === name)
    if (link !== undefined) checkAttach(plan, link)
    const master = plan.bridge === '' ? 0 : findBridge(plan.bridge, links).index
    checkAddresses(plan, links)
    const fds: number[] = []
    for (let queue = 0; queue < spread.count; queue++) {
      const fd = own(tun.openDriver())
      fds.push(fd)
      if (link !== undefined || queue > 0) attach(fd, plan, link?.tun)
      else create(fd, plan)
      tun.setVnetHeader(fd, VNET_HDR_LEN)
      tun.setOffload(fd, offloads ? FEATURES : 0)
    }
    if (wantsMany) steerFlows(fds[0], spread)
    const mtu = configure(plan, link, master)
    const persistent = link !== undefined
    return fds.map(fd => {
      const wakeFd = own(openWakeFd())
      return { kind: 'tap', name, mac, offloads, mtu, fd, wakeFd, persistent }
    })
  })
}

/**
 * Without the right to (CAP_BPF) the kernel's own hash stays, and workers hand over what is not
 * theirs.
 */
function steerFlows(fd: number, spread: Spread): void {
  try {
    const program = loadProgram(PROG_TYPE_SOCKET_FILTER, 0, spreadProgram(spread))
    tun.setSteering(fd, program)
    libc().close(program)
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== EPERM) throw error
  }
}

const queueFlag = (multiQueue: boolean): number => (multiQueue ? tun.IFF_MULTI_QUEUE : 0)

function create(fd: number, plan: TapPlan): void {
  const flags = tun.IFF_TAP | tun.IFF_NO_PI | tun.IFF_VNET_HDR | tun.IFF_TUN_EXCL
  try {
    tun.setInterface(fd, plan.name, flags | queueFlag(plan.multiQueue ?? false))
  } catch (error) {
    const errno = error instanceof SysError ? error.errno : 0
    if (errno === EPERM) throw new SysError(`create tap ${plan.name}`, EPERM, rightsHint(plan))
    // Somebody made it between our look and our call.
    if (errno === EBUSY) throw busy(plan.name)
    throw error
  }
}

/** The ways to get the right to a TAP, as commands. */
function rightsHint(plan: TapPlan): string {
  const { name } = plan
  const address = plan.hosts.map(host => ` && ${addressCommand(plan, host)}`).join('')
  return (
    `run with sudo; or make the interface once for this user: ` +
    `sudo ip tuntap add dev ${name} mode tap user ${userName()}${address} && ${upCommand(plan)}; ` +
    `or give this Node the right: ${setcap('cap_net_admin')}`
  )
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `${process.getuid?.() ?? 0}` // no entry in passwd; `ip` takes the number as well
  }
}

const addressCommand = (plan: TapPlan, host: Prefix): string =>
  `sudo ip address add ${prefixText(host)} dev ${plan.name}${isIpv6Prefix(host) ? ' nodad' : ''}`
const upCommand = (plan: TapPlan): string =>
  `sudo ip link set ${plan.name} up mtu ${plan.mtu ?? MTU_DEFAULT} txqueuelen ${TX_QUEUE_LEN}`

/** May this existing interface be ours? */
function checkAttach(plan: TapPlan, link: Link): void {
  const what = `tap ${plan.name}`
  if (link.tun === undefined || link.tun.type !== tun.IFF_TAP) {
    const kind = link.tun === undefined ? link.kind || 'hardware' : 'tun'
    throw new SysError(what, EEXIST, `it is a ${kind} interface, no TAP; choose another name`)
  }
  if (!link.tun.persistent || link.tun.queues > 0) throw busy(plan.name)
  const { multiQueue } = link.tun
  if (plan.multiQueue !== undefined && plan.multiQueue !== multiQueue) {
    const made = multiQueue ? 'with' : 'without'
    const option = multiQueue ? '' : ' multi_queue'
    const hint =
      `it was made ${made} multi_queue; make it anew: sudo ip link delete ${plan.name} && ` +
      `sudo ip tuntap add dev ${plan.name} mode tap user ${userName()}${option}`
    throw new SysError(what, EINVAL, hint)
  }
}

/** `existing`: what an administrator made; undefined: our own. */
function attach(fd: number, plan: TapPlan, existing: Link['tun']): void {
  const flags = tun.IFF_TAP | tun.IFF_NO_PI | tun.IFF_VNET_HDR
  const isMultiQueue = existing?.multiQueue ?? plan.multiQueue ?? false
  try {
    tun.setInterface(fd, plan.name, flags | queueFlag(isMultiQueue))
  } catch (error) {
    const errno = error instanceof SysError ? error.errno : 0
    if (errno === EBUSY) throw busy(plan.name)
    if (errno !== EPERM) throw error
    const owner = existing?.owner
    const whose = owner === undefined ? 'has no owner' : `belongs to uid ${owner}`
    const hint = `it ${whose}; run with sudo, as its owner, or choose another name`
    throw new SysError(`attach to tap ${plan.name}`, EPERM, hint)
  }
}

function findBridge(name: string, links: readonly Link[]): Link {
  const found = links.find(link => link.name === name)
  if (found?.kind === 'bridge') return found
  const bridges = links.filter(({ kind }) => kind === 'bridge').map(link => link.name)
  const there = bridges.length === 0 ? '' : `there is ${bridges.join(', ')}; or `
  const hint = `${there}make one: sudo ip link add ${name} type bridge && sudo ip link set ${name} up`
  if (found === undefined) throw new SysError(`bridge ${name}`, ENODEV, hint)
  throw new SysError(`bridge ${name}: it is none`, EINVAL, there || 'choose a bridge')
}

/**
 * Brings the interface to what the plan says, changes nothing that is right already; returns the
 * MTU.
 */
function configure(plan: TapPlan, before: Link | undefined, master: number): number {
  const link = before ?? listLinks().find(link => link.name === plan.name)
  if (link === undefined) throw new SysError(`tap ${plan.name}`, ENODEV, 'it was deleted meanwhile')
  for (const host of plan.hosts) {
    const has = listAddresses().some(
      ({ index, prefix }) =>
        index === link.index && isSameAddress(prefix, host) && prefix.len === host.len,
    )
    if (!has) withRight(plan, addressCommand(plan, host), () => addAddress(link.index, host))
  }
  if (master !== 0 && link.master !== master) {
    const command = `sudo ip link set ${plan.name} master ${plan.bridge}`
    withRight(plan, command, () => setLink(link.index, { master }))
  }
  const mtu = plan.mtu ?? (before === undefined ? MTU_DEFAULT : link.mtu)
  if (link.txQueueLen < TX_QUEUE_LEN) growQueue(link)
  if (link.mtu !== mtu || !link.up) {
    const change: LinkChange = { up: true, mtu }
    withRight(plan, upCommand(plan), () => setLink(link.index, change))
  }
  return mtu
}

/** A longer queue is better, but an unprivileged user serves well enough without. */
function growQueue(link: Link): void {
  try {
    setLink(link.index, { txQueueLen: TX_QUEUE_LEN })
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== EPERM) throw error
  }
}

/** Configures; where the right is missing, says which command would do it. */
function withRight(plan: TapPlan, command: string, action: () => void): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== EPERM) throw error
    throw new SysError(`configure tap ${plan.name}`, EPERM, `run once: ${command}`)
  }
}
