/**
 * The child process of pipeline.ts: reads a PipelineJob from standard input, writes Pipelined to
 * standard output. Ends with an error if an answer is no HTTP, or has no Content-Length.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Pipelined, PipelineJob } from './pipeline.ts'

const BATCH = 64

const job = JSON.parse(await text(process.stdin)) as PipelineJob
const statuses: number[] = []
const leaks: string[] = []
let connections = 0

while (statuses.length < job.targets.length) {
  const before = statuses.length
  await converse()
  if (statuses.length === before) statuses.push(0)
}
const result: Pipelined = { statuses, leaks, connections }
process.stdout.write(JSON.stringify(result))

/** Sends batch after batch of what is not answered yet, until all is, or the server closes. */
async function converse(): Promise<void> {
  const socket = connect({ host: job.host, port: job.port, noDelay: true })
  connections++
  await once(socket, 'connect')
  // What came before a reset was read.
  socket.on('error', () => {})
  let unread: Buffer = Buffer.alloc(0)
  let batchEnd = statuses.length
  const sendBatch = (): void => {
    const batch = job.targets.slice(batchEnd, batchEnd + BATCH)
    const requests = batch.map(target => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
    batchEnd += batch.length
    socket.write(Buffer.from(requests.join(''), 'latin1'))
  }
  socket.on('data', chunk => {
    unread = takeAnswers(Buffer.concat([unread, chunk]))
    if (statuses.length === job.targets.length) socket.destroy()
    else if (statuses.length === batchEnd) sendBatch()
  })
  socket.on('end', () => socket.destroy())
  sendBatch()
  await new Promise(resolve => socket.once('close', resolve))
  if (unread.length > 0) throw new Error(`half an answer to ${job.targets[statuses.length]}`)
}

/** Judges the whole answers at the beginning of `bytes`; what is left. */
function takeAnswers(bytes: Buffer): Buffer {
  let at = 0
  for (;;) {
    const headEnd = bytes.indexOf('\r\n\r\n', at)
    if (headEnd < 0) return bytes.subarray(at)
    const head = bytes.toString('latin1', at, headEnd + 2)
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(head) ?? []
    const [, length] = /^content-length: (\d+)\r$/im.exec(head) ?? []
    if (length === undefined) throw new Error(`what is that?\n${head}`)
    const end = headEnd + 4 + Number(length)
    if (end > bytes.length) return bytes.subarray(at)
    const answer = bytes.subarray(at, end)
    if (job.secrets.some(secret => answer.includes(secret))) {
      leaks.push(job.targets[statuses.length])
    }
    statuses.push(Number(status))
    at = end
  }
}
