/**
 * Requests and answers with low latency (paper §1): a byte of length, then as many of payload; an
 * answer is its request with every byte inverted.
 *
 *     npm run example -- rpc                         client and server of ours, and a latency
 *     sudo npm run example -- rpc --device tap       the server at 10.77.0.2, port 7000
 */
import { parseArgs } from 'node:util'
import { runLoop, type Stream, type StreamHandler } from '@sandstorm/libtcpip'
import { type Host, main, memoryHosts, nowUs, say, tapHost } from './host.ts'

const PORT = 7000
const CALLS = 20_000

/** Puts one stream's messages together from pieces; `take` gets each, its length in the first byte. */
function inbox(take: (stream: Stream, message: Uint8Array, len: number) => void): StreamHandler {
  const message = new Uint8Array(256)
  let count = 0
  const onData = (stream: Stream): void => {
    while (stream.readable > 0) {
      const len = count === 0 ? 1 : 1 + message[0]
      count += stream.read(message, count, len - count)
      if (count < 1 + message[0]) continue
      take(stream, message, count)
      count = 0
    }
  }
  return { onData }
}

function answer(stream: Stream, message: Uint8Array, len: number): void {
  for (let i = 1; i < len; i++) message[i] ^= 0xff
  if (stream.write(message, 0, len) < len) stream.abort() // it asks much and reads nothing
}

function listen({ streams }: Host): void {
  streams.listen(PORT, {
    onConnect: stream => {
      stream.noDelay = true
      stream.handler = inbox(answer)
    },
  })
}

function serve(host: Host): void {
  listen(host)
  say(`rpc on ${host.stack.device.name}, port ${PORT}; Ctrl-C ends it`)
  say(runLoop(host.stack, nowUs, () => false))
}

/** Calls one after the other, and prints how long they took. */
function measure([client, server]: [Host, Host]): void {
  const times: number[] = []
  let sentUs = 0
  const call = (stream: Stream): void => {
    sentUs = nowUs()
    stream.write(Uint8Array.of(4, 1, 2, 3, 4))
  }
  const answers = inbox(stream => {
    times.push(nowUs() - sentUs)
    call(stream)
  })
  listen(server)
  client.streams.connect('10.77.0.2', PORT, { ...answers, onConnect: call })
  while (times.length < 2 * CALLS) {
    client.stack.poll(nowUs())
    server.stack.poll(nowUs())
  }
  const sorted = times.slice(CALLS).sort((a, b) => a - b) // the first half warms up
  const at = (part: number): string => `${sorted[Math.floor(part * CALLS)].toFixed(1)} us`
  say(`${CALLS} calls: median ${at(0.5)}, 99 % within ${at(0.99)}`)
}

main(() => {
  const { values } = parseArgs({ options: { device: { type: 'string', default: 'memory' } } })
  if (values.device === 'memory') measure(memoryHosts())
  else serve(tapHost())
})
