/**
 * The device contract, run for the TAP over a cable of sockets (no privileges), and over the
 * kernel's own, whose other end is a packet socket on the interface.
 */
import { writeFileSync } from 'node:fs'
import { before } from 'node:test'
import {
  BATCH_MAX,
  closeHandle,
  openTap,
  Region,
  TapDevice,
  type TapHandle,
  tapRegionBytes,
} from '../src/index.ts'
import { libc } from '../src/sys/libc.ts'
import { koffiProblem } from '../src/sys/probe.ts'
import { VNET_HDR_LEN } from '../src/vnet.ts'
import { cable } from './cable.ts'
import { deviceSuite, type Pair, type Peer, SUITE_REGION_BYTES } from './device.suite.ts'
import { nicProblem, ownNamespace, tapProblem, unless } from './privileges.ts'
import { linkOf, socketPeer } from './veth.ts'
import { inVlan } from './vlanTag.ts'

/** The far end as plain system calls: each packet is a virtio_net_hdr and a frame. */
function rawPeer({ fd }: TapHandle): Peer {
  const c = libc()
  const bytes = new Uint8Array(70000)
  let batch: Uint8Array[] = []
  return {
    send(frame) {
      const packet = Buffer.concat([new Uint8Array(VNET_HDR_LEN), frame])
      return c.send(fd, packet, packet.length, 0) === packet.length
    },
    receive() {
      batch = []
      while (batch.length < BATCH_MAX) {
        const len = c.recv(fd, bytes, bytes.length, 0)
        if (len < 0) break
        batch.push(bytes.slice(VNET_HDR_LEN, len))
      }
      return batch.length
    },
    frame: i => batch[i],
  }
}

function cablePair(offloads: boolean): Pair {
  const [near, far] = cable(offloads)
  const content = new Region(65536)
  const region = new Region(tapRegionBytes(near) + SUITE_REGION_BYTES)
  const device = new TapDevice(near, region, content)
  return {
    device,
    peer: rawPeer(far),
    content,
    close() {
      device.close()
      closeHandle(near)
      closeHandle(far)
    },
  }
}

deviceSuite('tap over a cable', () => cablePair(true), koffiProblem())
deviceSuite('tap over a cable, without offloads', () => cablePair(false), koffiProblem())
deviceSuite('tap over a cable, in a VLAN', () => inVlan(cablePair(true)), koffiProblem())

function kernelPair(offloads: boolean): Pair {
  const name = 'near'
  const handle = openTap({ name, hostAddresses: ['10.9.0.1/24'], serverAddresses: [], offloads })
  const peer = socketPeer(name)
  const content = new Region(65536)
  const region = new Region(tapRegionBytes(handle) + SUITE_REGION_BYTES)
  const device = new TapDevice(handle, region, content)
  return {
    device,
    peer,
    link: linkOf(name),
    content,
    close() {
      device.close()
      peer.close()
      closeHandle(handle)
    },
  }
}

const { skip } = unless(tapProblem() || nicProblem())
if (skip === false) {
  before(() => {
    ownNamespace()
    // The host would report its groups into the tests.
    writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1')
  })
}

deviceSuite('tap', () => kernelPair(true), skip || '')
deviceSuite('tap, without offloads', () => kernelPair(false), skip || '')
