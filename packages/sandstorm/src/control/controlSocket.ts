/**
 * The control socket of a running server: a Unix-domain socket on the main thread, through which
 * `sandstorm conns` looks in. It is an aid and no more: what goes wrong with it is a warning, it
 * keeps no process alive, and it is gone when the instance is.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Instance, Log } from '../instance/instance.ts'
import {
  type InstanceLine,
  type Line,
  PROTOCOL,
  parseRequest,
  type Question,
  REQUEST_MAX_BYTES,
} from './protocol.ts'
import { makeRoomFor, type Surroundings, surroundings } from './runtimeDir.ts'

/** Askers at the same time; more are turned away. */
const ASKERS_MAX = 16
/** An asker that does not ask for so long is dropped. It may read as slowly as it likes. */
const REQUEST_MS = 10_000

/**
 * Opens the socket beside an instance; the answer closes it when the instance ends. Never rejects.
 */
export async function withControlSocket(
  instance: Instance,
  log: Log,
  around: Surroundings | undefined = surroundings(),
): Promise<Instance> {
  if (around === undefined) return instance
  try {
    const close = await listen(instance, makeRoomFor(process.pid, around))
    return { ...instance, done: instance.done.finally(close) }
  } catch (error) {
    const why = (error as Error).message
    log.warn(`no control socket, so sandstorm conns will not find this server: ${why}`)
    return instance
  }
}

/** Listens; the answer ends it at once, removes the file and drops who is connected. */
async function listen(instance: Instance, path: string): Promise<() => void> {
  const askers = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    askers.add(socket)
    socket.once('close', () => askers.delete(socket))
    socket.unref()
    serve(socket, instance).catch(() => socket.destroy())
  })
  server.maxConnections = ASKERS_MAX
  server.unref()
  server.listen(path)
  await once(server, 'listening') // rejects on 'error'
  server.on('error', () => {}) // out of descriptors, say: the next asker may have more luck
  return () => {
    server.close() // libuv unlinks the file
    for (const socket of askers) socket.destroy()
  }
}

/** One request, one answer. Rejects when the asker is gone. */
async function serve(socket: Socket, instance: Instance): Promise<void> {
  socket.on('error', () => {}) // the asker went away: 'close' follows
  socket.setTimeout(REQUEST_MS, () => socket.destroy())
  const question = parseRequest(await firstLine(socket))
  socket.setTimeout(0)
  socket.resume() // to see its end
  await pipeline(texts(answer(instance, question)), socket)
  socket.setTimeout(REQUEST_MS) // to take its leave
}

/** As the socket takes them, so that a slow asker costs no memory. */
async function* texts(parts: AsyncIterable<readonly Line[]>): AsyncGenerator<string> {
  for await (const lines of parts) {
    if (lines.length > 0) yield lines.map(line => `${JSON.stringify(line)}\n`).join('')
  }
}

async function* answer(
  instance: Instance,
  question: Question | undefined,
): AsyncGenerator<readonly Line[]> {
  const { pid } = process
  const { endpoints, inspector } = instance
  const device = endpoints.map(endpoint => endpoint.device).join(', ')
  const [{ url }] = endpoints
  yield [{ type: 'instance', protocol: PROTOCOL, pid, device, url } satisfies InstanceLine]
  if (question === undefined) yield [{ type: 'error', message: 'no such question' }]
  if (question === undefined || question === 'instance' || inspector === undefined) return
  if (question === 'stats') {
    yield [{ type: 'stats', pid, stats: await inspector.stats() }]
    return
  }
  const states: Record<string, number> = {}
  let waiting = 0
  for await (const { connections, timeWait } of inspector.connections()) {
    for (const { state } of connections) states[state] = (states[state] ?? 0) + 1
    waiting = timeWait
    yield connections.map(connection => ({ type: 'connection', pid, ...connection }))
  }
  yield [{ type: 'summary', pid, states: { ...states, 'TIME-WAIT': waiting } }]
}

/** The first line that comes, '' if there is none. */
async function firstLine(socket: Socket): Promise<string> {
  socket.setEncoding('utf8')
  let text = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk
    if (text.includes('\n') || text.length > REQUEST_MAX_BYTES) break
  }
  return text.split('\n', 1)[0]
}
