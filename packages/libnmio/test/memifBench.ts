/**
 * Frames a second from one process to another over memif, in either direction:
 * `node memifBench.js`. With 'far ROLE SOCKET' it is the other process, which takes what comes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type MemifRole, OFFLOAD_NONE } from '../src/index.ts'
import { type End, newSocket, openEnd, pump } from './memifTest.ts'

const SECONDS = 2
const CELLS = 512

/** Takes frames until the peer has gone; prints how many a second. */
function take({ device, link }: End): void {
  while (!link.isUp) {
    link.poll(performance.now())
    device.wait(1000)
  }
  let begin = 0
  let last = 0
  let polled = 0
  while (link.isUp) {
    const now = performance.now()
    if (now - polled > 50) {
      polled = now
      link.poll(now)
    }
    if (device.rx() === 0) device.wait(1000)
    else {
      begin ||= now
      last = now
    }
  }
  const { rxFrames, rxBytes } = device.stats
  const seconds = (last - begin) / 1000
  const rate = `${(rxFrames / seconds / 1e6).toFixed(2)} M frames/s`
  process.stdout.write(`${rate}, ${((rxBytes * 8) / seconds / 1e9).toFixed(1)} Gbit/s\n`)
}

/** Sends frames of `len` bytes, as many as go, for a while. */
function send({ device, frames }: End, len: number): void {
  let next = 0
  for (const end = performance.now() + SECONDS * 1000; performance.now() < end; ) {
    const count = Math.min(64, device.txSpace())
    for (let i = 0; i < count; i++) {
      device.push(frames + (next++ % CELLS) * 2048, len, OFFLOAD_NONE)
    }
    device.flush()
    while (device.reclaim() > 0);
  }
}

async function measure(role: MemifRole, len: number): Promise<void> {
  const socket = newSocket()
  const near = openEnd({ socket, role })
  const far = role === 'client' ? 'server' : 'client'
  process.stdout.write(`${role} to ${far}, ${len} bytes: `)
  const self = fileURLToPath(import.meta.url)
  const child = spawn(process.execPath, [self, 'far', far, socket], { stdio: 'inherit' })
  await pump([near], () => near.link.isUp)
  send(near, len)
  near.close()
  await once(child, 'exit')
}

const [mode, role, socket] = process.argv.slice(2)
if (mode === 'far') take(openEnd({ socket, role: role as MemifRole }))
else {
  for (const len of [64, 1514]) {
    await measure('client', len)
    await measure('server', len)
  }
}
