/** memif for tests: an end with its link, device and region in this thread, and two that meet. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  closeHandles,
  MemifDevice,
  type MemifLink,
  type MemifOptions,
  memifRegionBytes,
  openMemifQueues,
  Region,
} from '../src/index.ts'

/** For sockets; made by who asks for one, and gone with that process. */
let folder = ''
let count = 0

/** A path where no socket is yet. */
export function newSocket(): string {
  if (folder === '') {
    folder = mkdtempSync(join(tmpdir(), 'memif-'))
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  }
  return join(folder, `${count++}.sock`)
}

/** One end of the wire. */
export interface End {
  readonly device: MemifDevice
  readonly link: MemifLink
  /** Where a test's own frames can lie: all that was left of the region. */
  readonly frames: number
  /** What the link has warned of. */
  readonly lines: string[]
  close(): void
}

/** `frameBytes`: what is left of the region for frames. */
export function openEnd(options: MemifOptions, frameBytes: number = 4 << 20): End {
  const { handles, link } = openMemifQueues({ peerBytes: 16 << 20, ...options })
  const lines: string[] = []
  link.onWarning = line => lines.push(line)
  const region = new Region(memifRegionBytes(handles[0]) + frameBytes)
  const device = new MemifDevice(handles[0], region)
  let frames = -1
  return {
    device,
    link,
    lines,
    get frames() {
      if (frames < 0) frames = region.reserveFrames(region.unreservedBytes - 16384)
      return frames
    },
    close() {
      device.close()
      link.close()
      closeHandles(handles)
    },
  }
}

/** Lets links and devices do what is to be done, until `isDone`. */
export async function pump(ends: readonly End[], isDone: () => boolean, ms = 5000): Promise<void> {
  const deadline = performance.now() + ms
  while (!isDone()) {
    const lines = ends.flatMap(end => end.lines).join('; ')
    assert.ok(performance.now() < deadline, `took too long; warnings: ${lines}`)
    turn(ends)
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** One turn of that. */
export function turn(ends: readonly End[]): void {
  for (const { device, link } of ends) {
    link.poll(performance.now())
    device.wait(0)
  }
}

/** A server and a client that have found each other. */
export function meet(
  options: Partial<MemifOptions> = {},
  frameBytes: number = 4 << 20,
): [End, End] {
  const socket = options.socket ?? newSocket()
  const server = openEnd({ ...options, socket, role: 'server' }, frameBytes)
  const client = openEnd({ ...options, socket, role: 'client' }, frameBytes)
  const ends = [server, client]
  for (let i = 0; i < 1000 && !(server.link.isUp && client.link.isUp); i++) turn(ends)
  assert.ok(server.link.isUp && client.link.isUp, [...server.lines, ...client.lines].join('; '))
  return [server, client]
}
