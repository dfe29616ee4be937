/** The device contract, run for AF_XDP over a veth pair, whose far end is a plain packet socket. */
import { before } from 'node:test'
import { Assembler } from '../src/bpf/assembler.ts'
import { closeHandle, Region, XdpDevice, type XdpHandle, xdpRegionBytes } from '../src/index.ts'
import * as bpf from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { bindPacketSocket, openPacketSocket } from '../src/sys/packet.ts'
import { openWakeFd } from '../src/sys/waiter.ts'
import { openXskSocket } from '../src/sys/xsk.ts'
import { deviceSuite, ETHERTYPE_TEST, type Pair, SUITE_REGION_BYTES } from './device.suite.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { findLink } from './taps.ts'
import { makeVeth, removeVeth, socketPeer } from './veth.ts'

const { skip } = unless(nicProblem())

/** Steers the suite's frames, which are for no address, into the socket. */
function steerTestFrames(ifindex: number, map: number, mode: number): number {
  const asm = new Assembler()
  asm.load(4, 2, 1, 0) // linux/bpf.h: xdp_md.data
  asm.load(4, 3, 1, 4) // data_end
  asm.move(4, 2)
  asm.add(4, 14)
  asm.jumpIfBehind(4, 3, 'pass')
  asm.load(2, 4, 2, 12)
  asm.jumpIfNot(4, ((ETHERTYPE_TEST & 0xff) << 8) | (ETHERTYPE_TEST >> 8), 'pass')
  asm.load(4, 2, 1, 16) // rx_queue_index
  asm.loadMap(1, map)
  asm.set(3, 2) // XDP_PASS
  asm.call(51) // bpf_redirect_map
  asm.exit()
  asm.label('pass')
  asm.set(0, 2)
  asm.exit()
  const program = bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, asm.bytes())
  const link = bpf.linkProgram(program, ifindex, bpf.ATTACH_XDP, mode)
  libc().close(program)
  return link
}

function openTestXdp(name: string, mtu: number, mode: number): XdpHandle {
  const link = findLink(name)
  if (link === undefined) throw new Error(`no ${name}`)
  const [fd, watchFd, wakeFd] = [openXskSocket(), openPacketSocket(), openWakeFd()]
  bindPacketSocket(watchFd, link.index, 0x88b6)
  const xskMap = bpf.createXskMap(1)
  const owned = [fd, watchFd, wakeFd, xskMap, steerTestFrames(link.index, xskMap, mode)]
  const isNative = mode === bpf.XDP_FLAGS_DRV_MODE
  return {
    kind: 'xdp',
    name,
    mtu,
    mac: link.mac,
    fd,
    watchFd,
    wakeFd,
    xskMap,
    ifindex: link.index,
    queue: 0,
    isNative,
    addresses: [],
    isShared: false,
    isVirtual: true,
    owned,
  }
}

function vethPair(mtu: number, mode: number): Pair {
  makeVeth('near', 'far', mtu)
  const peer = socketPeer('far')
  const handle = openTestXdp('near', mtu, mode)
  const region = new Region(xdpRegionBytes(handle) + 16 * SUITE_REGION_BYTES)
  const device = new XdpDevice(handle, region)
  return {
    device,
    peer,
    close() {
      device.close()
      peer.close()
      closeHandle(handle)
      removeVeth('near')
    },
  }
}

if (skip === false) before(ownNamespace)

const { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } = bpf
deviceSuite('xdp, native', () => vethPair(1500, XDP_FLAGS_DRV_MODE), skip || '')
deviceSuite('xdp, generic', () => vethPair(1500, XDP_FLAGS_SKB_MODE), skip || '')
deviceSuite('xdp, frames of 3.5 KB', () => vethPair(3498, XDP_FLAGS_DRV_MODE), skip || '')
