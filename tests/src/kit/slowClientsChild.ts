/** The child process of slowClients.ts: says `ready` once, and ends with its standard input. */
import { connect, type Socket } from 'node:net'
import type { SlowJob } from './slowClients.ts'

const job = JSON.parse(process.argv[2]) as SlowJob
const { hostname, port } = new URL(job.url)
/** When nobody has begun for so long nobody will. */
const QUIET_MS = 1000
let begun = 0
let quiet: NodeJS.Timeout | undefined

function onFirst(chunk: Buffer): void {
  if (!chunk.toString('latin1').startsWith('HTTP/1.1 206 ')) {
    process.stderr.write(chunk.subarray(0, 500))
    process.exit(1)
  }
  begun++
  clearTimeout(quiet)
  if (begun === job.connections) isReady()
  else if (job.mayWait) quiet = setTimeout(isReady, QUIET_MS)
}

const isReady = (): boolean => process.stdout.write('ready\n')

/** After each chunk it waits for as long as that should have taken. */
function throttle(socket: Socket): void {
  socket.on('data', (chunk: Buffer) => {
    socket.pause()
    if (job.bytesPerSecond === 0) return
    setTimeout(() => socket.resume(), (1000 * chunk.length) / job.bytesPerSecond)
  })
}

for (let i = 0; i < job.connections; i++) {
  const socket = connect(Number(port || 80), hostname)
  socket.on('error', () => {})
  socket.once('data', onFirst)
  throttle(socket)
  const range = `bytes=${i * job.strideBytes}-`
  socket.write(`GET ${job.path} HTTP/1.1\r\nHost: ${hostname}\r\nRange: ${range}\r\n\r\n`)
}

process.stdin.on('end', () => process.exit(0)).resume()
