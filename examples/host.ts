/**
 * What every example needs: a stack with byte streams, on a TAP or on a link in memory. All parts are
 * the libraries' own; this puts them together (paper §2.2).
 */
import { randomBytes } from 'node:crypto'
import {
  closeHandle,
  type Device,
  FramePool,
  memoryLink,
  openTap,
  Region,
  SysError,
  TapDevice,
  tapRegionBytes,
} from '@sandstorm/libnmio'
import { Cubic, ipv4Address, Stack, Streams, streamsRegionBytes } from '@sandstorm/libtcpip'

const STREAMS = { maxStreams: 64 }
/** Frames of 64 KB: a TAP cuts them into segments, so a large write is a single system call. */
const FRAMES = 64
const FRAME_SHIFT = 16
const HOST_BYTES = streamsRegionBytes(STREAMS) + (FRAMES << FRAME_SHIFT) + 8192

export interface Host {
  readonly stack: Stack
  readonly streams: Streams
}

/** Microseconds, never going back. */
export const nowUs = (): number => performance.now() * 1000

/** Prints a line. */
export const say = (line: string): unknown => process.stdout.write(`${line}\n`)

/** A host on a device; it takes HOST_BYTES of the device's region. */
function makeHost(device: Device, address: string): Host {
  const streams = new Streams(device.region, STREAMS)
  const stack = new Stack({
    device,
    frames: new FramePool(device.region, FRAMES, FRAME_SHIFT),
    addresses: [ipv4Address(address, 24)],
    app: streams,
    congestion: new Cubic(),
    tcp: streams.tcpConfig,
    arp: { probes: 0 }, // nobody else is on these links
    random: () => randomBytes(4).readInt32LE(),
    nowUs: nowUs(),
  })
  streams.attach(stack)
  stack.start()
  return { stack, streams }
}

/** 10.77.0.2 on a TAP of its own, `sand0`, of which the kernel is 10.77.0.1. */
export function tapHost(): Host {
  const addresses = { hostAddresses: ['10.77.0.1/24'], serverAddresses: ['10.77.0.2/24'] }
  const tap = openTap({ ...addresses, offloads: true })
  process.once('exit', () => closeHandle(tap))
  const region = new Region(tapRegionBytes(tap) + HOST_BYTES)
  return makeHost(new TapDevice(tap, region, region), '10.77.0.2')
}

/** Two hosts in this process, 10.77.0.1 and 10.77.0.2, with nothing but memory between them. */
export function memoryHosts(): [Host, Host] {
  const [a, b] = memoryLink({ region: new Region(2 * HOST_BYTES) })
  return [makeHost(a, '10.77.0.1'), makeHost(b, '10.77.0.2')]
}

/** Runs an example; what the system refuses is one clear line, and exit code 2. */
export function main(example: () => void): void {
  try {
    example()
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 2
  }
}
