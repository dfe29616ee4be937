/**
 * The sides of a comparison, each pinned to the same core, each serving the same folder, each with
 * the client at the other end of one link:
 *
 *     tap     wrk ── TAP ── sandstorm                  the client's kernel is the TAP's other end
 *     packet  wrk ── veth pair ── sandstorm            likewise xdp
 *     nginx   wrk ── veth pair ── kernel TCP ── nginx  offloads on, so that segments stay large
 *
 * nginx gets what its manual advises for static files (one worker, sendfile, open_file_cache, no
 * logs) and a congestion control without pacing: bbr, the default of some kernels, paces with
 * timers and made nginx four times slower on such a link.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './options.ts'
import { ended, ip, makeNamespace, startInside, sysctl } from './process.ts'

export const SERVER_CORE = 1
const READY_LIMIT_MS = 20_000
const NULL_RESPONDER = `${ROOT}packages/bench/dist/src/nullResponder.js`
const TAP_ADDRESS = '10.77.0.2'

export interface Side {
  readonly name: string
  /** Where the client runs. */
  readonly clientNamespace: string
  /** Where the server runs. */
  readonly serverNamespace: string
  readonly url: string
  /** Ends the server; throws unless it ended cleanly. */
  stop(): Promise<void>
}

/** Our server on a TAP of its own. */
export async function startSandstorm(
  dir: string,
  flags: readonly string[] = [],
): Promise<Side & OurStats> {
  const namespace = makeNamespace()
  prepareClient(namespace)
  return {
    name: 'sandstorm',
    clientNamespace: namespace,
    serverNamespace: namespace,
    ...(await serveInside(namespace, dir, flags)),
  }
}

/** What answers on a TAP without a stack (nullResponder.ts): the floor under ours. */
export async function startNull(dir: string): Promise<Side> {
  const namespace = makeNamespace()
  prepareClient(namespace)
  const argv = ['taskset', '-c', String(SERVER_CORE), process.execPath, NULL_RESPONDER, dir]
  const child = startInside(namespace, argv)
  child.stderr?.pipe(process.stderr)
  const done = ended(child)
  const failed = done.then(code => {
    throw new Error(`the responder ended with code ${code}`)
  })
  // It says so when it is ready, and nothing else.
  const signal = AbortSignal.timeout(READY_LIMIT_MS)
  if (child.stdout !== null) {
    await Promise.race([once(child.stdout, 'data', { signal }), failed])
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await done
  }
  const url = `http://${TAP_ADDRESS}:80`
  return { name: 'no stack', clientNamespace: namespace, serverNamespace: namespace, url, stop }
}

/** Our server on an interface, one end of a veth pair. */
export async function startOnInterface(
  kind: 'packet' | 'xdp',
  dir: string,
  flags: readonly string[] = [],
): Promise<Side & OurStats> {
  const { client, server } = linkNamespaces()
  const device = `${kind}:${SERVER_INTERFACE}`
  const running = await serveInside(server, dir, flags, device)
  return { name: kind, clientNamespace: client, serverNamespace: server, ...running }
}

/** Our HTTP on the kernel's TCP, on the far side of a veth pair. */
export async function startOnKernel(dir: string): Promise<Side> {
  const { client, server } = linkNamespaces()
  sysctl(server, 'net.ipv4.tcp_congestion_control', 'reno')
  const where = ['--address', SERVER_ADDRESS, '--port', '80']
  const running = await serveInside(server, dir, where, 'kernel')
  return { name: 'kernel', clientNamespace: client, serverNamespace: server, ...running }
}

/** On a veth pair: no frame is larger than the MTU from now on. */
export function segmentsOnly({ clientNamespace, serverNamespace }: Side): void {
  for (const [namespace, name] of [
    [clientNamespace, CLIENT_INTERFACE],
    [serverNamespace, SERVER_INTERFACE],
  ]) {
    ip('netns', 'exec', namespace, 'ethtool', '-K', name, 'tso', 'off', 'gso', 'off', 'gro', 'off')
  }
}

/** A server that runs, wherever its clients are. */
export type Running = Pick<Side, 'url' | 'stop'>

/** What ours counted, as SANDSTORM_STATS=1 prints it, once it has stopped. */
export interface OurStats {
  counters(): Counters
}

export interface Counters {
  readonly http: { readonly requests: number }
  readonly ledger: { readonly payloadBytesCopied: number; readonly payloadBytesSummed: number }
  readonly device: {
    readonly rxFrames: number
    readonly txFrames: number
    readonly syscalls: number
  }
}

/** The client's end of a veth pair. */
export const CLIENT_INTERFACE = 'bench0'
const SERVER_INTERFACE = 'bench1'
export const SERVER_ADDRESS = '10.78.0.2'

/** A client's and a server's namespace, and a veth pair between them. */
export function linkNamespaces(): { client: string; server: string } {
  const client = makeNamespace()
  const server = makeNamespace()
  prepareClient(client)
  const peer = ['peer', SERVER_INTERFACE, 'netns', server]
  ip('link', 'add', CLIENT_INTERFACE, 'netns', client, 'type', 'veth', ...peer)
  for (const [namespace, name, address] of [
    [client, CLIENT_INTERFACE, '10.78.0.1/24'],
    [server, SERVER_INTERFACE, `${SERVER_ADDRESS}/24`],
  ]) {
    ip('-n', namespace, 'addr', 'add', address, 'dev', name)
    ip('-n', namespace, 'link', 'set', name, 'up')
  }
  return { client, server }
}

/** `sandstorm serve DIR --device DEVICE FLAGS` in a namespace, ready when it says so. */
export async function serveInside(
  namespace: string,
  dir: string,
  flags: readonly string[] = [],
  device = 'tap',
): Promise<Running & OurStats> {
  const bin = `${ROOT}packages/sandstorm/bin/sandstorm.js`
  const argv = [process.execPath, bin, 'serve', dir, '--device', device, ...flags]
  const env = ['env', 'SANDSTORM_STATS=1']
  const child = startInside(namespace, ['taskset', '-c', String(SERVER_CORE), ...env, ...argv])
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
    counters: () => JSON.parse(/^stats (.*)$/m.exec(stderr)?.[1] ?? '') as Counters,
  }
}

/** More lines for nginx. */
export interface NginxLines {
  /** Of its server block, and of what is around it. */
  readonly server?: string
  readonly http?: string
}

/** Debian's nginx on the far side of a veth pair. */
export async function startNginx(
  dir: string,
  workDir: string,
  more: NginxLines = {},
): Promise<Side> {
  const { client, server } = linkNamespaces()
  sysctl(server, 'net.ipv4.tcp_congestion_control', 'reno')
  const nginx = await nginxInside(server, client, SERVER_ADDRESS, dir, workDir, more)
  return { name: 'nginx', clientNamespace: client, serverNamespace: server, ...nginx }
}

/** nginx in one namespace, ready when it answers a client in another. */
export async function nginxInside(
  namespace: string,
  client: string,
  address: string,
  dir: string,
  workDir: string,
  more: NginxLines = {},
): Promise<Running> {
  const config = join(workDir, 'nginx.conf')
  writeFileSync(config, nginxConfig(dir, workDir, more))
  const argv = ['taskset', '-c', String(SERVER_CORE), 'nginx', '-c', config, '-e', 'stderr']
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

function nginxConfig(dir: string, workDir: string, more: NginxLines): string {
  return `
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
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
  ${more.http ?? ''}
  server { listen 80 backlog=4096; root ${dir}; ${more.server ?? ''} }
}
`
}

/** Some servers say nothing when they are ready: asked until it answers. */
export async function answers(namespace: string, url: string): Promise<void> {
  const code = `
    const { get } = require('node:http'), end = Date.now() + ${READY_LIMIT_MS}
    const ask = () => get('${url}/', { timeout: 1000 }, answer => { answer.resume(); process.exit(0) })
      .on('timeout', function () { this.destroy() })
      .on('error', error => Date.now() < end ? setTimeout(ask, 20) : process.exit(1))
    ask()`
  const child = startInside(namespace, [process.execPath, '-e', code])
  if ((await ended(child)) !== 0) throw new Error(`${url} does not answer`)
}
