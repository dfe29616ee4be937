/** The device contract, run for AF_XDP over a veth pair, whose far end is a plain packet socket. */
import { before } from 'node:test'
import { closeHandle, Region, XdpDevice, xdpRegionBytes } from '../src/index.ts'
import { XDP_FLAGS_SKB_MODE } from '../src/sys/bpf.ts'
import { deviceSuite, type Pair, SUITE_REGION_BYTES } from './device.suite.ts'
import { nicProblem, ownNamespace, unless } from './privileges.ts'
import { linkOf, makeVeth, removeVeth, socketPeer } from './veth.ts'
import { openTestXdp, type TestXdp } from './xdpTest.ts'

const { skip } = unless(nicProblem())

function vethPair(options: TestXdp): Pair {
  makeVeth('near', 'far', options.mtu)
  const peer = socketPeer('far')
  const handle = openTestXdp('near', options)
  const region = new Region(xdpRegionBytes(handle) + 16 * SUITE_REGION_BYTES)
  const device = new XdpDevice(handle, region)
  return {
    device,
    peer,
    link: linkOf('near'),
    close() {
      device.close()
      peer.close()
      closeHandle(handle)
      removeVeth('near')
    },
  }
}

if (skip === false) before(ownNamespace)

deviceSuite('xdp, native', () => vethPair({}), skip || '')
deviceSuite('xdp, generic', () => vethPair({ mode: XDP_FLAGS_SKB_MODE }), skip || '')
deviceSuite('xdp, frames of 3.5 KB', () => vethPair({ mtu: 3498 }), skip || '')
deviceSuite('xdp, frames of 9 KB', () => vethPair({ mtu: 9000 }), skip || '')
const GENERIC_JUMBO = { mtu: 9000, mode: XDP_FLAGS_SKB_MODE }
deviceSuite('xdp, frames of 9 KB, generic', () => vethPair(GENERIC_JUMBO), skip || '')
deviceSuite('xdp, busy polled', () => vethPair({ isBusyPolled: true }), skip || '')
