/**
 * AF_XDP for the tests' own frames, which are for no address: on interfaces that the tests made.
 */
import { Assembler } from '../src/bpf/assembler.ts'
import { BATCH_MAX, type XdpHandle } from '../src/index.ts'
import * as bpf from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { bindPacketSocket, openPacketSocket } from '../src/sys/packet.ts'
import { openWakeFd } from '../src/sys/waiter.ts'
import { openXskSocket, preferBusyPolling } from '../src/sys/xsk.ts'
import { isMultiBuffer } from '../src/xdp/layout.ts'
import { ETHERTYPE_TEST } from './device.suite.ts'
import { findLink } from './taps.ts'

const XDP_PASS = 2
const REDIRECT_MAP = 51
/** A protocol that nobody speaks. */
const ETHERTYPE_NONE = 0x88b6

/** Steers them into the socket of the queue; the rest is the kernel's. */
function steer(ifindex: number, map: number, mode: number, flags: number): number {
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
  asm.set(3, XDP_PASS)
  asm.call(REDIRECT_MAP)
  asm.exit()
  asm.label('pass')
  asm.set(0, XDP_PASS)
  asm.exit()
  const program = bpf.loadProgram(bpf.PROG_TYPE_XDP, 0, asm.bytes(), flags)
  const link = bpf.linkProgram(program, ifindex, bpf.ATTACH_XDP, mode)
  libc().close(program)
  return link
}

export interface TestXdp {
  readonly mtu?: number
  /** XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE. */
  readonly mode?: number
  readonly isBusyPolled?: boolean
}

export function openTestXdp(
  name: string,
  { mtu = 1500, mode = bpf.XDP_FLAGS_DRV_MODE, isBusyPolled = false }: TestXdp = {},
): XdpHandle {
  const link = findLink(name)
  if (link === undefined) throw new Error(`no ${name}`)
  const [fd, watchFd, wakeFd] = [openXskSocket(), openPacketSocket(), openWakeFd()]
  bindPacketSocket(watchFd, link.index, ETHERTYPE_NONE)
  if (isBusyPolled) preferBusyPolling(fd, 20, BATCH_MAX)
  const xskMap = bpf.createXskMap(1)
  const flags = isMultiBuffer(mtu) ? bpf.XDP_HAS_FRAGS : 0
  const owned = [fd, watchFd, wakeFd, xskMap, steer(link.index, xskMap, mode, flags)]
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
    isBusyPolled,
    isBound: new Int32Array(new SharedArrayBuffer(4)),
    isNative: mode === bpf.XDP_FLAGS_DRV_MODE,
    addresses: [],
    isShared: false,
    isVirtual: true,
    owned,
  }
}
