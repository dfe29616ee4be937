/**
 * A real origin on 127.0.0.1 for tests of the cache: node:http with a handler, or raw bytes for
 * what node:http would never send. And a plain server that puts a cache before it.
 */
import http from 'node:http'
import net, { type AddressInfo, type Socket } from 'node:net'
import { after } from 'node:test'
import type { Cache } from '../../src/cache/cache.ts'
import { endToEnd } from '../../src/cache/hopByHop.ts'
import type { CacheRequest, Field } from '../../src/cache/message.ts'
import { openUpstream, type Upstream, type UpstreamConfig } from '../../src/cache/upstream.ts'

/** Its URL. */
export async function httpOrigin(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler)
  await listen(server)
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** `answer` gets each request head, and its socket. */
export async function rawOrigin(
  answer: (socket: Socket, head: string, count: number) => void,
): Promise<string> {
  let count = 0
  const sockets = new Set<Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', data => answer(socket, data.toString('latin1'), ++count))
  })
  await listen(server)
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * A client of it without pauses between its tries; `pauses` gets those that there would have been.
 */
export async function upstreamOf(
  origin: string,
  config: Partial<UpstreamConfig> = {},
  pauses: number[] = [],
): Promise<Upstream> {
  const upstream = await openUpstream(
    { origin, ...config },
    {
      nowMs: Date.now,
      random: () => 0.5,
      sleep: async ms => {
        pauses.push(ms)
      },
    },
  )
  after(() => upstream.close())
  return upstream
}

/** A node:http server that answers with the cache's outcomes. Its URL. */
export function cacheServer(cache: Cache): Promise<string> {
  return httpOrigin(async (incoming, response) => {
    const leaving = new AbortController()
    response.on('close', () => leaving.abort())
    try {
      const outcome = await cache.handle(toRequest(incoming, leaving.signal), Date.now())
      response.sendDate = false
      response.writeHead(outcome.status, outcome.fields.flat())
      if (outcome.body instanceof Uint8Array) response.end(outcome.body)
      else {
        for await (const chunk of outcome.body) {
          if (!response.write(chunk)) await new Promise(resolve => response.once('drain', resolve))
        }
        response.end()
      }
    } catch {
      response.destroy() // never a body that looks whole
    }
  })
}

function toRequest(incoming: http.IncomingMessage, signal: AbortSignal): CacheRequest {
  const fields: Field[] = []
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const [name, value] = [incoming.rawHeaders[i], incoming.rawHeaders[i + 1]]
    if (name.toLowerCase() !== 'host') fields.push([name, value])
  }
  const { method = '', headers, url = '' } = incoming
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding']
  const clientAddress = incoming.socket.remoteAddress ?? ''
  const authority = headers.host ?? ''
  const base = { method, scheme: 'http', authority, target: url, fields: endToEnd(fields) } as const
  return { ...base, clientAddress, signal, ...(hasBody ? { body: incoming } : {}) }
}

const listen = (server: net.Server): Promise<void> =>
  new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
