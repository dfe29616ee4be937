/**
 * The child process of httpClient.ts: reads a Job from standard input, writes Answers to standard
 * output. Bodies are hashed as they arrive, never kept.
 */

import { createHash } from 'node:crypto'
import { Agent, request } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { urlToHttpOptions } from 'node:url'
import type { Answer, Answers, Job, Request } from './httpClient.ts'

const job = JSON.parse(await text(process.stdin)) as Job
const { port, ...url } = urlToHttpOptions(new URL(job.url))
// Of an IPv6 address, without the brackets.
const hostname = url.hostname ?? ''
const extra = job.close ? { connection: 'close' } : {}
const agent = new Agent({ keepAlive: !job.close, maxSockets: job.maxSockets })
// Every socket that carried a request: `reusedSocket` misses those handed on by the agent's queue.
const sockets = new Set<Socket>()

const answers = await Promise.all(job.requests.map(ask))
agent.destroy()
const result: Answers = { answers, connections: sockets.size }
process.stdout.write(JSON.stringify(result))

function ask({ method = 'GET', path, headers = {} }: Request): Promise<Answer> {
  return new Promise(resolve => {
    const failed = (error: Error): void =>
      resolve({ status: 0, headers: {}, bytes: 0, sha256: '', error: error.message })
    const outgoing = request(
      // Not as one URL: its parser would resolve the dot segments that some tests send.
      { agent, hostname, port, path, method, headers: { ...headers, ...extra } },
      incoming => {
        const hash = createHash('sha256')
        let bytes = 0
        incoming.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          hash.update(chunk)
        })
        incoming.on('error', failed)
        incoming.on('end', () => {
          const status = incoming.statusCode ?? 0
          const fields = incoming.headers as Record<string, string>
          resolve({ status, headers: fields, bytes, sha256: hash.digest('hex'), error: '' })
        })
      },
    )
    outgoing.on('socket', socket => sockets.add(socket))
    outgoing.on('error', failed)
    outgoing.end()
  })
}
