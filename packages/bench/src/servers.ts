/**
 * The two sides of the comparison, each pinned to the same core, each serving the same folder, each
 * with the client at the other end of one link:
 *
 *     ours    wrk ── TAP ── sandstorm                 the client's kernel is the TAP's other end
 *     nginx   wrk ── veth pair ── kernel TCP ── nginx  offloads on, so that segments stay large
 *
 * nginx gets what its manual advises for static files (one worker, sendfile, open_file_cache, no
 * logs) and a congestion control without pacing: bbr, the default of some kernels, paces with
 * timers and made nginx four times slower on such a link.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './options.ts'
import { ended, ip, makeNamespace, startInside, sysctl } from './process.ts'

const SERVER_CORE = '1'
const READY_LIMIT_MS = 20_000

export interface Side {
  readonly name: string
  /** Where the client runs. */
  readonly clientNamespace: string
  readonly url: string
  /** Ends the server; throws unless it ended cleanly. */
  stop(): Promise<void>
}

/** Our server on a TAP of its own. */
export async function startSandstorm(dir: string): Promise<Side> {
  const namespace = makeNamespace()
  prepareClient(namespace)
  return { name: 'sandstorm', clientNamespace: namespace, ...(await serveInside(namespace, dir)) }
}

/** A server that runs, wherever its clients are. */
export type Running = Pick<Side, 'url' | 'stop'>

/** `sandstorm serve DIR --device tap FLAGS` in a namespace, ready when it says so. */
export async function serveInside(
  namespace: string,
  dir: string,
  flags: readonly string[] = [],
): Promise<Running> {
  const bin = `${ROOT}packages/sandstorm/bin/sandstorm.js`
  const argv = [process.execPath, bin, 'serve', dir, '--device', 'tap', ...flags]
  const child = startInside(namespace, ['taskset', '-c', SERVER_CORE, ...argv])
  const done = ended(child)
  let stderr = ''
  child.stderr?.on('data', chunk => {
    stderr += chunk
  })
  const ready = new Promise<string>((resolve, reject) => {
    setTimeout(() => reject(new Error(`sandstorm is not ready: ${stderr}`)), READY_LIMIT_MS).unref()
    child.stdout?.on('data', chunk => {
      const url = /^listening on (http:\/\/[^\s/]+)/m.exec(String(chunk))?.[1]
      if (url !== undefined) resolve(url)
    })
    done.then(code => reject(new Error(`sandstorm ended with code ${code}: ${stderr}`)), reject)
  })
  return {
    url: await ready,
    stop: async () => {
      child.kill('SIGINT')
      const code = await done
      if (code !== 0) throw new Error(`sandstorm ended with code ${code}: ${stderr}`)
    },
  }
}

/** Debian's nginx on the far side of a veth pair. */
export async function startNginx(dir: string, workDir: string): Promise<Side> {
  const client = makeNamespace()
  const server = makeNamespace()
  prepareClient(client)
  ip('link', 'add', 'bench0', 'netns', client, 'type', 'veth', 'peer', 'bench1', 'netns', server)
  for (const [namespace, name, address] of [
    [client, 'bench0', '10.78.0.1/24'],
    [server, 'bench1', '10.78.0.2/24'],
  ]) {
    ip('-n', namespace, 'addr', 'add', address, 'dev', name)
    ip('-n', namespace, 'link', 'set', name, 'up')
  }
  sysctl(server, 'net.ipv4.tcp_congestion_control', 'reno')
  const nginx = await nginxInside(server, client, '10.78.0.2', dir, workDir)
  return { name: 'nginx', clientNamespace: client, ...nginx }
}

/** nginx in one namespace, ready when it answers a client in another. */
export async function nginxInside(
  namespace: string,
  client: string,
  address: string,
  dir: string,
  workDir: string,
): Promise<Running> {
  const config = join(workDir, 'nginx.conf')
  writeFileSync(config, nginxConfig(dir, workDir))
  const argv = ['taskset', '-c', SERVER_CORE, 'nginx', '-c', config, '-e', 'stderr']
  const child = startInside(namespace, argv)
  const done = ended(child)
  child.stderr?.pipe(process.stderr)
  const url = `http://${address}:80`
  await answers(client, url)
  return {
    url,
    stop: async () => {
      child.kill('SIGQUIT')
      const code = await done
      if (code !== 0) throw new Error(`nginx ended with code ${code}`)
    },
  }
}

/** The same for both sides: enough ports for a connection per request, and their early reuse. */
function prepareClient(namespace: string): void {
  sysctl(namespace, 'net.ipv4.ip_local_port_range', '1024 65535')
  sysctl(namespace, 'net.ipv4.tcp_tw_reuse', '1')
  sysctl(namespace, 'net.ipv4.tcp_congestion_control', 'reno')
}

function nginxConfig(dir: string, workDir: string): string {
  return `
daemon off;
user root;
worker_processes 1;
pid ${workDir}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; multi_accept on; }
http {
  default_type application/octet-stream;
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_timeout 3600s;
  keepalive_requests 1000000000;
  open_file_cache max=1000 inactive=1h;
  open_file_cache_valid 1h;
  server { listen 80 backlog=4096; root ${dir}; }
}
`
}

/** nginx says nothing when it is ready: asked until it answers. */
async function answers(namespace: string, url: string): Promise<void> {
  const code = `
    const { get } = require('node:http'), end = Date.now() + ${READY_LIMIT_MS}
    const ask = () => get('${url}/', answer => { answer.resume(); process.exit(0) })
      .on('error', error => Date.now() < end ? setTimeout(ask, 20) : process.exit(1))
    ask()`
  const child = startInside(namespace, [process.execPath, '-e', code])
  if ((await ended(child)) !== 0) throw new Error('nginx does not answer')
}
