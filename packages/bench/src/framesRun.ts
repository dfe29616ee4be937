/**
 * Our end of the frames benchmark: sends ready frames of 1500 bytes as fast as the device takes
 * them, or takes what comes. Prints a line of JSON each second: frames so far, and microseconds.
 *
 *   node framesRun.js tx|rx memif|xdp|packet SOCKET|INTERFACE
 */
import {
  assert,
  type Device,
  type DeviceHandle,
  makeDevice,
  OFFLOAD_NONE,
  openMemifQueues,
  openPacket,
  openXdp,
  Region,
  startMemifTimer,
} from '@sandstorm/libnmio'
import { inlineMore } from 'sandstorm'
import { FRAME_LEN } from './frameLen.ts'

const CELLS = 1024
const CELL = 2048
const REGION_BYTES = 64 << 20
/** Frames between two looks at the clock; a batch. */
const BATCH = 64
const SLICE_MS = 100

/** What testpmd sends to, and from, unless told otherwise. */
const ADDRESS = '198.18.0.2/24'

function open(kind: string, name: string): DeviceHandle {
  if (kind === 'memif') {
    const { handles, link } = openMemifQueues({ socket: name, role: 'client' })
    startMemifTimer(link)
    return handles[0]
  }
  const options = { interfaceName: name, addresses: [ADDRESS], port: 9, offloads: false }
  return kind === 'xdp' ? openXdp(options) : openPacket(options)
}

/** UDP from our address to nobody's hardware, checksums and all left to chance: nobody reads it. */
function makeFrames(region: Region): number {
  const base = region.reserveFrames(CELLS * CELL)
  for (let i = 0; i < CELLS; i++) {
    const off = base + i * CELL
    region.bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45], off)
    region.view.setUint16(off + 16, FRAME_LEN - 14)
  }
  return base
}

/** For a slice of time. */
function send(device: Device, base: number): void {
  for (const end = performance.now() + SLICE_MS; performance.now() < end; ) {
    const space = device.txSpace()
    const count = space < BATCH ? space : BATCH
    for (let i = 0; i < count; i++) {
      device.push(base + next * CELL, FRAME_LEN, OFFLOAD_NONE)
      next = (next + 1) % CELLS
    }
    device.flush()
    done += device.reclaim()
    // Nothing comes; but a device sees there what becomes of its peer.
    device.rx()
  }
}
let next = 0
/** Frames that the device is through with. */
let done = 0

function receive(device: Device): void {
  for (const end = performance.now() + SLICE_MS; performance.now() < end; ) {
    for (let i = 0; i < BATCH; i++) device.rx()
  }
}

inlineMore()
const [way, kind, name] = process.argv.slice(2)
assert(way === 'tx' || way === 'rx', 'tx or rx')
const region = new Region(REGION_BYTES)
const device = makeDevice(open(kind, name), region, region)
const base = makeFrames(region)
process.on('SIGTERM', () => {
  device.close()
  process.exit(0)
})
for (;;) {
  for (let slice = 0; slice < 1000; slice += SLICE_MS) {
    if (way === 'tx') send(device, base)
    else receive(device)
    // The memif link's timer, and signals.
    await new Promise(resolve => setImmediate(resolve))
  }
  const frames = way === 'tx' ? done - device.stats.txDropped : device.stats.rxFrames
  process.stdout.write(`${JSON.stringify({ frames, us: performance.now() * 1000 })}\n`)
}
