/**
 * The servers that are asked: ours on both mounts, and, where they are installed, those that people
 * use, configured as their manuals say for static files with ready-made .gz and .br beside them.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { start } from '../kit/command.ts'
import { Server } from '../kit/server.ts'

export interface Running {
  readonly host: string
  readonly port: number
  stop(): Promise<void>
}

interface Kind {
  /** Its name and version; undefined: not here. */
  version(): string | undefined
  start(root: string, workDir: string): Promise<Running>
}

const PORT = 8079
const READY_LIMIT_MS = 10_000

function versionOf(command: string, flag: string, pattern: RegExp): () => string | undefined {
  return () => {
    try {
      const said = execFileSync('sh', ['-c', `${command} ${flag} 2>&1`], { encoding: 'utf8' })
      return pattern.exec(said)?.[1]
    } catch {
      return undefined
    }
  }
}

function ours(...device: string[]): Kind {
  return {
    version: () => '',
    start: async root => {
      const server = await Server.serve([root, ...device])
      const { hostname, port } = new URL(server.url)
      return { host: hostname, port: Number(port || 80), stop: () => server.stop() }
    },
  }
}

/** A program that serves on 127.0.0.1:PORT until it is ended. */
async function other(argv: readonly string[]): Promise<Running> {
  const child = start(argv)
  const ended = new Promise(resolve => child.once('close', resolve))
  child.stdout?.resume()
  child.stderr?.resume()
  for (const end = Date.now() + READY_LIMIT_MS; !(await answers()); await sleep(50)) {
    if (Date.now() > end || child.exitCode !== null) throw new Error(`${argv[0]} does not start`)
  }
  return {
    host: '127.0.0.1',
    port: PORT,
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function answers(): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port: PORT })
    socket.on('connect', () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/** Writes a configuration file; returns its path. */
function config(workDir: string, name: string, text: string): string {
  const path = join(workDir, name)
  writeFileSync(path, text)
  return path
}

const nginx: Kind = {
  version: versionOf('nginx', '-v', /nginx\/(\S+)/),
  start: (root, workDir) => {
    const text = `daemon off; master_process off; pid ${workDir}/nginx.pid; error_log /dev/null;
events {}
http {
  include /etc/nginx/mime.types; charset utf-8; access_log off; gzip_static on; gzip_vary on;
  client_body_temp_path ${workDir}/nginx-body;
  server { listen 127.0.0.1:${PORT}; root ${root}; }
}`
    return other(['nginx', '-c', config(workDir, 'nginx.conf', text), '-e', '/dev/null'])
  },
}

const apache: Kind = {
  version: versionOf('apache2', '-v', /Apache\/(\S+)/),
  start: (root, workDir) => {
    const load = ['mpm_event', 'authz_core', 'dir', 'mime', 'rewrite', 'headers']
      .map(name => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`)
      .join('\n')
    const text = `${load}
ServerName a
PidFile ${workDir}/apache.pid
ErrorLog /dev/null
Listen 127.0.0.1:${PORT}
TypesConfig /etc/mime.types
AddDefaultCharset utf-8
DocumentRoot ${root}
DirectoryIndex index.html
`
    return other(['apache2', '-D', 'FOREGROUND', '-f', config(workDir, 'apache.conf', text)])
  },
}

const caddy: Kind = {
  version: versionOf('caddy', 'version', /^v?(\S+)/m),
  start: (root, workDir) => {
    const text = `{
  admin off
  auto_https off
}
http://:${PORT} {
  bind 127.0.0.1
  root * ${root}
  file_server {
    precompressed br gzip
  }
}
`
    const file = config(workDir, 'Caddyfile', text)
    return other(['caddy', 'run', '--adapter', 'caddyfile', '--config', file])
  },
}

const h2o: Kind = {
  version: versionOf('h2o', '--version', /h2o version (\S+)/),
  start: (root, workDir) => {
    const text = `listen: { host: 127.0.0.1, port: ${PORT} }
user: root
hosts:
  default:
    paths:
      /:
        file.dir: ${root}
        file.send-compressed: ON
`
    return other(['h2o', '-m', 'worker', '-c', config(workDir, 'h2o.conf', text)])
  },
}

const lighttpd: Kind = {
  version: versionOf('lighttpd', '-v', /lighttpd\/(\S+)/),
  start: (root, workDir) => {
    const text = `server.document-root = "${root}"
server.port = ${PORT}
server.bind = "127.0.0.1"
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html; charset=utf-8", ".txt" => "text/plain; charset=utf-8",
  ".css" => "text/css; charset=utf-8", ".png" => "image/png" )
`
    return other(['lighttpd', '-D', '-f', config(workDir, 'lighttpd.conf', text)])
  },
}

/** Ours first. */
export const SERVERS: Readonly<Record<string, Kind>> = {
  kernel: ours('--device', 'kernel', '--port', '8078'),
  tap: ours('--device', 'tap'),
  nginx,
  apache,
  caddy,
  h2o,
  lighttpd,
}
