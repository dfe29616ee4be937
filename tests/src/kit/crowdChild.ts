/**
 * The child process of crowd.ts: HOST PORT PATH BYTES COUNT. Says `held` when all connections are
 * there and answered, `answered` when, at the end of standard input, all have asked once more.
 * Whatever is not as it should be ends it with an error.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Connections that are under way at the same time. */
const AT_ONCE = 200

const [host, port, path, bytes, count] = process.argv.slice(2)
const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const sockets: Socket[] = []

await inTurn(async () => {
  const socket = connect({ host, port: Number(port), noDelay: true })
  socket.once('end', () => assert.fail('the server ended a connection'))
  sockets.push(socket)
  await once(socket, 'connect')
  await ask(socket)
})
process.stdout.write('held\n')
process.stdin.resume()
await once(process.stdin, 'end')
await inTurn(i => ask(sockets[i]))
process.stdout.write('answered\n')
for (const socket of sockets) socket.destroy()

/** Does something for each of the crowd, for AT_ONCE of them at the same time. */
async function inTurn(act: (i: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async (): Promise<void> => {
    while (next < Number(count)) await act(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

/** Sends the request and reads the whole answer. */
async function ask(socket: Socket): Promise<void> {
  socket.write(request)
  let answer = Buffer.alloc(0)
  let wanted = Number.POSITIVE_INFINITY
  while (answer.length < wanted) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    answer = Buffer.concat([answer, chunk])
    const headEnd = answer.indexOf('\r\n\r\n')
    if (headEnd > 0) wanted = headEnd + 4 + Number(bytes)
  }
  assert.equal(answer.length, wanted)
  assert.match(answer.toString('latin1', 0, 15), /^HTTP\/1\.1 200 /)
}
