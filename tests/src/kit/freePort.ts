/** Ports of 127.0.0.1 for servers that want to be told one. */
import { type AddressInfo, createServer } from 'node:net'

/** A port that was free a moment ago; the kernel does not hand the same one out again soon. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
