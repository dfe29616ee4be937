/**
 * AF_PACKET sockets (packet(7), linux/if_packet.h): frames of an interface as they come and go,
 * with a receive ring that the kernel fills and we read in place
 * (Documentation/networking/packet_mmap.rst; TPACKET_V2: one slot a frame, so none waits for a
 * block to fill up). Set-up, and the layout of a slot.
 */

import { EPERM, SysError } from './errno.ts'
import { check, libc, O_CLOEXEC, O_NONBLOCK } from './libc.ts'
import { NIC_RIGHTS_HINT } from './rights.ts'

const AF_PACKET = 17
const SOCK_RAW = 3
/** linux/if_ether.h, in network order. */
const ETH_P_ALL = 3

const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SO_ATTACH_BPF = 50

const SOL_PACKET = 263
const PACKET_ADD_MEMBERSHIP = 1
const PACKET_RX_RING = 5
const PACKET_STATISTICS = 6
const PACKET_COPY_THRESH = 7
const PACKET_VERSION = 10
const PACKET_VNET_HDR = 15
const PACKET_FANOUT = 18
const PACKET_FANOUT_DATA = 22
const PACKET_FANOUT_EBPF = 7
const PACKET_FANOUT_FLAG_UNIQUEID = 0x2000
const PACKET_IGNORE_OUTGOING = 23
const TPACKET_V2 = 1
const PACKET_MR_MULTICAST = 0

/** linux/if_packet.h: struct tpacket2_hdr, at the beginning of each slot. */
export const TP_STATUS = 0
export const TP_LEN = 4
export const TP_SNAPLEN = 8
/** Where the frame begins in the slot. */
export const TP_MAC = 12
export const TP_STATUS_KERNEL = 0
export const TP_STATUS_USER = 1
/** The frame is longer than the slot: all of it waits in the socket's queue. */
export const TP_STATUS_COPY = 2
/** Frames were dropped since the statistics were last read. */
export const TP_STATUS_LOSING = 4
export const TP_STATUS_CSUMNOTREADY = 8
export const TP_STATUS_CSUM_VALID = 0x80

/** Geometry of a receive ring; `slotBytes` divides BLOCK_BYTES. */
export interface PacketRing {
  readonly slotBytes: number
  readonly slotCount: number
}
const BLOCK_BYTES = 65536

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)

const setOption = (
  fd: number,
  level: number,
  name: number,
  value: Uint8Array,
  what: string,
  hint = '',
): void => {
  check(libc().setsockopt(fd, level, name, value, value.length), what, hint)
}

/** A socket that receives nothing yet. */
export function openPacketSocket(): number {
  const c = libc()
  const fd = c.socket(AF_PACKET, SOCK_RAW | O_NONBLOCK | O_CLOEXEC, 0)
  if (fd >= 0) return fd
  const errno = c.errno()
  throw new SysError('socket(AF_PACKET)', errno, errno === EPERM ? NIC_RIGHTS_HINT : '')
}

/** Frames begin with a virtio_net_hdr both ways; what we send ourselves is not received again. */
export function setPacketMode(fd: number): void {
  setOption(fd, SOL_PACKET, PACKET_VERSION, int(TPACKET_V2), 'PACKET_VERSION')
  setOption(fd, SOL_PACKET, PACKET_VNET_HDR, int(1), 'PACKET_VNET_HDR')
  setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, int(1), 'PACKET_IGNORE_OUTGOING (Linux 4.20)')
  setOption(fd, SOL_PACKET, PACKET_COPY_THRESH, int(1), 'PACKET_COPY_THRESH')
}

/** Makes the ring; mapped, it is slotBytes * slotCount long. */
export function setReceiveRing(fd: number, { slotBytes, slotCount }: PacketRing): void {
  const blocks = (slotBytes * slotCount) / BLOCK_BYTES
  // struct tpacket_req { u32 block_size, block_nr, frame_size, frame_nr }
  const request = Uint32Array.of(BLOCK_BYTES, blocks, slotBytes, slotCount)
  setOption(fd, SOL_PACKET, PACKET_RX_RING, new Uint8Array(request.buffer), 'PACKET_RX_RING')
}

/** Bytes that may wait in the interface's queue, and in the socket's own. */
export function setBuffers(fd: number, sendBytes: number, receiveBytes: number): void {
  setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, int(sendBytes), 'SO_SNDBUFFORCE', NIC_RIGHTS_HINT)
  setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, int(receiveBytes), 'SO_RCVBUFFORCE', NIC_RIGHTS_HINT)
}

/** Only frames that the program keeps are received. */
export function attachFilter(fd: number, program: number): void {
  setOption(fd, SOL_SOCKET, SO_ATTACH_BPF, int(program), 'SO_ATTACH_BPF')
}

/**
 * Makes the sockets one group, which gets each frame once: at the socket whose number the program
 * says, in the order given. They are bound already. Filters come after the group's choice.
 */
export function joinFanout(fds: readonly number[], program: number): void {
  let group = 0
  for (const [i, fd] of fds.entries()) {
    const flags = i === 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0
    const request = int(group | ((PACKET_FANOUT_EBPF | flags) << 16))
    setOption(fd, SOL_PACKET, PACKET_FANOUT, request, 'PACKET_FANOUT')
    if (i > 0) continue
    const chosen = int(0)
    libc().getsockopt(fd, SOL_PACKET, PACKET_FANOUT, chosen, int(4))
    group = chosen[0] | (chosen[1] << 8)
    setOption(fd, SOL_PACKET, PACKET_FANOUT_DATA, int(program), 'PACKET_FANOUT_DATA')
  }
}

/** The interface takes frames for this group, six bytes, as long as the socket is open. */
export function joinGroup(fd: number, ifindex: number, group: Uint8Array): void {
  // struct packet_mreq { int ifindex; u16 type; u16 alen; u8 address[8] }
  const request = new Uint8Array(16)
  const view = new DataView(request.buffer)
  view.setInt32(0, ifindex, true)
  view.setUint16(4, PACKET_MR_MULTICAST, true)
  view.setUint16(6, group.length, true)
  request.set(group, 8)
  setOption(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, 'PACKET_ADD_MEMBERSHIP')
}

/** From now on the frames of this interface are received, all of them or those of one ethertype. */
export function bindPacketSocket(fd: number, ifindex: number, ethertype: number = ETH_P_ALL): void {
  // struct sockaddr_ll { u16 family; be16 protocol; int ifindex; u16 hatype; u8 pkttype, halen,
  // addr[8] }
  const address = new Uint8Array(20)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_PACKET, true)
  view.setUint16(2, ethertype)
  view.setInt32(4, ifindex, true)
  check(libc().bind(fd, address, address.length), 'bind(AF_PACKET)')
}

/** Frames that did not fit into the ring since the last call. */
export function readPacketDrops(fd: number): number {
  // struct tpacket_stats { u32 packets, drops }
  const stats = new Uint8Array(8)
  if (libc().getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, stats, int(stats.length)) < 0) return 0
  return new DataView(stats.buffer).getUint32(4, true)
}

/** Takes the error that poll(2) tells of, so that it does so once. */
export function takeSocketError(fd: number): number {
  const error = int(0)
  libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, error, int(4))
  return error[0] | (error[1] << 8)
}
