/** The device contract, run for memif in both roles; at the other end is the other role. */
import { koffiProblem } from '../src/index.ts'
import { devicePeer, deviceSuite, type Pair, SUITE_REGION_BYTES } from './device.suite.ts'
import { meet } from './memifTest.ts'
import { unless } from './privileges.ts'
import { inVlan } from './vlanTag.ts'

const { skip } = unless(koffiProblem())

function pair(role: 'client' | 'server', mtu: number): Pair {
  const [server, client] = meet({ mtu }, 8 * SUITE_REGION_BYTES)
  const [near, far] = role === 'client' ? [client, server] : [server, client]
  return {
    device: near.device,
    peer: devicePeer(far.device),
    close() {
      near.close()
      far.close()
    },
  }
}

deviceSuite('memif, client', () => pair('client', 1500), skip || '')
deviceSuite('memif, server', () => pair('server', 1500), skip || '')
deviceSuite('memif, client, in a VLAN', () => inVlan(pair('client', 1500)), skip || '')
deviceSuite('memif, server, in a VLAN', () => inVlan(pair('server', 1500)), skip || '')
