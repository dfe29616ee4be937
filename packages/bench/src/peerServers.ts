/**
 * Other web servers for static files, on the far side of a veth pair like nginx (servers.ts), one
 * thread each on the server's core, as their manuals advise for static files.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './options.ts'
import { ended, startInside, sysctl } from './process.ts'
import { answers, linkNamespaces, SERVER_ADDRESS, SERVER_CORE, type Side } from './servers.ts'

export const PEERS = ['h2o', 'node + sirv', 'Bun'] as const
export type Peer = (typeof PEERS)[number]

const SIRV = `${ROOT}packages/bench/dist/src/sirvServer.js`

/** The command line that serves `dir` at SERVER_ADDRESS, port 80; its files go to `workDir`. */
const COMMANDS: Readonly<Record<Peer, (dir: string, workDir: string) => readonly string[]>> = {
  h2o: (dir, workDir) => ['h2o', '-c', written(workDir, 'h2o.conf', h2oConfig(dir))],
  'node + sirv': dir => [process.execPath, SIRV, dir, SERVER_ADDRESS],
  Bun: (dir, workDir) => ['bun', written(workDir, 'bun.js', bunServer(dir))],
}

export async function startPeer(peer: Peer, dir: string, workDir: string): Promise<Side> {
  const { client, server } = linkNamespaces()
  sysctl(server, 'net.ipv4.tcp_congestion_control', 'reno')
  const argv = ['taskset', '-c', String(SERVER_CORE), ...COMMANDS[peer](dir, workDir)]
  const child = startInside(server, argv)
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const done = ended(child)
  const url = `http://${SERVER_ADDRESS}:80`
  await Promise.race([
    answers(client, url),
    done.then(code => {
      throw new Error(`${peer} ended with code ${code}: ${stderr.trim()}`)
    }),
  ])
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await done
  }
  return { name: peer, clientNamespace: client, serverNamespace: server, url, stop }
}

function written(workDir: string, name: string, text: string): string {
  const file = join(workDir, name)
  writeFileSync(file, text)
  return file
}

const h2oConfig = (dir: string): string => `
user: root
num-threads: 1
max-connections: 4096
http1-request-timeout: 3600
listen:
  host: ${SERVER_ADDRESS}
  port: 80
hosts:
  default:
    paths:
      "/":
        file.dir: ${dir}
`

/**
 * Files as its manual serves them: a response made of a file, which it sends by itself. That it
 * will close the connection, as it was asked to, it says only if told to (1.4.5), and wrk takes an
 * end without a word for an error.
 */
const bunServer = (dir: string): string => `
const CLOSE = { headers: { connection: 'close' } }
Bun.serve({
  hostname: '${SERVER_ADDRESS}',
  port: 80,
  idleTimeout: 255,
  fetch: request => new Response(
    Bun.file('${dir}' + new URL(request.url).pathname),
    request.headers.get('connection') === 'close' ? CLOSE : undefined,
  ),
})
`
