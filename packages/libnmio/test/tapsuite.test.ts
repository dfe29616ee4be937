/** The device contract, run for the TAP over a cable of sockets (no privileges). */
import {
  BATCH_MAX,
  closeHandle,
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
