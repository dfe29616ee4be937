/**
 * An echo server (RFC 862) on a network stack of its own.
 *
 *     sudo npm run example -- echo                 at 10.77.0.2, port 7: try `nc 10.77.0.2 7`
 *     npm run example -- echo --device memory      no privileges: it talks to itself once
 */
import { parseArgs } from 'node:util'
import { ending, runLoop, type Stream, type StreamHandler } from '@sandstorm/libtcpip'
import { type Host, main, memoryHosts, nowUs, say, tapHost } from './host.ts'

const PORT = 7
const buffer = new Uint8Array(65536)

/**
 * Sends back what there is. Nothing is read that cannot be written: if the peer does not take its
 * echo, the window that it sees shuts, and it stops.
 */
function echo(stream: Stream): void {
  const count = stream.read(buffer, 0, Math.min(buffer.length, stream.writable))
  stream.write(buffer, 0, count)
  if (stream.hasEnded && stream.readable === 0) stream.shutdown()
}

const handler: StreamHandler = {
  onConnect: stream => say(`${stream.remoteAddress}:${stream.remotePort} is here`),
  onData: echo,
  onWritable: echo,
  onEnd: echo,
  onClose: (stream, why) => {
    say(`${stream.remoteAddress}:${stream.remotePort} is gone: ${ending.ENDING_NAMES[why]}`)
  },
}

function serve({ stack, streams }: Host): void {
  streams.listen(PORT, handler)
  say(`echo on ${stack.device.name}, port ${PORT}; Ctrl-C ends it`)
  say(runLoop(stack, nowUs, () => false))
}

/** A client and the server in one process: the client's bytes come back. */
function talkToItself([client, server]: [Host, Host]): void {
  const sent = Uint8Array.from({ length: 50_000 }, (_, i) => i % 251)
  const back = new Uint8Array(sent.length)
  let count = 0
  let isOver = false
  server.streams.listen(PORT, handler)
  client.streams.connect('10.77.0.2', PORT, {
    onConnect: stream => {
      stream.write(sent)
      stream.shutdown()
    },
    onData: stream => {
      count += stream.read(back, count)
    },
    onClose: () => {
      isOver = true
    },
  })
  while (!isOver) {
    client.stack.poll(nowUs())
    server.stack.poll(nowUs())
  }
  const isEqual = count === sent.length && back.every((byte, i) => byte === sent[i])
  say(isEqual ? `${count} bytes came back as they were` : 'the echo is wrong')
  process.exitCode = isEqual ? 0 : 1
}

main(() => {
  const { values } = parseArgs({ options: { device: { type: 'string', default: 'tap' } } })
  if (values.device === 'memory') talkToItself(memoryHosts())
  else serve(tapHost())
})
