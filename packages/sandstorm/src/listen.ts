/** Listening on the kernel's TCP, for the kernel mount and the admin server. */
import type { Server } from 'node:net'

/**
 * Settles when the server listens; rejects with the system's error, and no handler is left behind.
 */
export async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, resolve)
  })
  server.removeAllListeners('error')
}
