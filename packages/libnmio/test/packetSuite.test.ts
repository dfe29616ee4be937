/**
 * The device contract, run for AF_PACKET over a veth pair, whose far end is a plain packet socket.
 */
import { before } from 'node:test'
import { Assembler } from '../src/bpf/assembler.ts'
import { closeHandle, openPacket, PacketDevice, packetRegionBytes, Region } from '../src/index.ts'
import { loadProgram, PROG_TYPE_SOCKET_FILTER } from '../src/sys/bpf.ts'
import { libc } from '../src/sys/libc.ts'
import { attachFilter } from '../src/sys/packet.ts'
import { deviceSuite, ETHERTYPE_TEST, type Pair, SUITE_REGION_BYTES } from './device.suite.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { linkOf, makeVeth, removeVeth, socketPeer } from './veth.ts'

const { skip } = unless(nicProblem())

/** Lets the suite's frames through, which are for no address. */
function letTestFramesIn(fd: number): void {
  const asm = new Assembler()
  asm.move(6, 1)
  asm.load(4, 0, 1, 16) // linux/bpf.h: __sk_buff.protocol, in network order
  asm.jumpIfEqual(0, ((ETHERTYPE_TEST & 0xff) << 8) | (ETHERTYPE_TEST >> 8), 'keep')
  asm.set(0, 0)
  asm.exit()
  asm.label('keep')
  asm.set(0, 0x7fffffff)
  asm.exit()
  const program = loadProgram(PROG_TYPE_SOCKET_FILTER, 0, asm.bytes())
  attachFilter(fd, program)
  libc().close(program)
}

function vethPair(mtu: number, offloads: boolean): Pair {
  makeVeth('near', 'far', mtu)
  const peer = socketPeer('far')
  const options = { interfaceName: 'near', addresses: ['10.9.0.2/24'], port: 80, offloads }
  const handle = openPacket(options)
  letTestFramesIn(handle.fd)
  const content = new Region(65536)
  const region = new Region(packetRegionBytes(handle) + 16 * SUITE_REGION_BYTES)
  const device = new PacketDevice(handle, region, content)
  return {
    device,
    peer,
    link: linkOf('near'),
    content,
    close() {
      device.close()
      peer.close()
      closeHandle(handle)
      removeVeth('near')
    },
  }
}

if (skip === false) before(ownNamespace)

deviceSuite('packet', () => vethPair(1500, true), skip || '')
deviceSuite('packet, without offloads', () => vethPair(1500, false), skip || '')
deviceSuite('packet, jumbo frames', () => vethPair(9000, true), skip || '')
