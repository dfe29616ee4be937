/** Runs of `sandstorm load`, and servers of all manners for it, in this process. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { collect, type Outcome, run, start } from './command.ts'
import type { Namespace } from './namespace.ts'
import { commandLine } from './server.ts'
import { temporaryFolder } from './temporary.ts'

/** What of a report the tests look at; all of it is JSON. */
export interface Report {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly latencyUs: Readonly<Record<string, number>>
  readonly connectUs: Readonly<Record<string, number>>
  readonly firstByteUs: Readonly<Record<string, number>>
  readonly status: Readonly<Record<string, number>>
  readonly errorsByKind: Readonly<Record<string, number>>
  readonly connectionsOpened: number
  readonly connectionsUnused: number
  readonly unfinished: number
  readonly checked: number
  readonly bodyBytes: number
  readonly device: string
  readonly threads: number
  readonly framesLost?: number
  readonly problem: string
  readonly cpu: { readonly user: number; readonly system: number; readonly share: number }
}

const LIMIT_MS = 60_000

/** `sandstorm load ARGS`, for people. */
export const load = (args: readonly string[], namespace?: Namespace): Promise<Outcome> =>
  run(commandLine('load', ...args), { namespace, limitMs: LIMIT_MS })

/** `sandstorm load ARGS --json`. */
export async function loadJson(
  args: readonly string[],
  namespace?: Namespace,
): Promise<{ readonly report: Report; readonly code: number; readonly stderr: string }> {
  const { stdout, stderr, code } = await load([...args, '--json'], namespace)
  try {
    return { report: JSON.parse(stdout) as Report, code, stderr }
  } catch {
    throw new Error(`no JSON but: ${stdout}${stderr}`)
  }
}

/** The errors of a report that there were any of. */
export const errorsOf = ({ errorsByKind }: Report): Record<string, number> =>
  Object.fromEntries(Object.entries(errorsByKind).filter(([, count]) => count > 0))

/** Nothing is wrong with the run; returns its report. */
export function assertGood({ report, code, stderr }: Awaited<ReturnType<typeof loadJson>>): Report {
  assert.deepEqual(errorsOf(report), {}, JSON.stringify(report))
  assert.equal(stderr, '')
  assert.equal(code, 0)
  return report
}

/** One that runs until it is told to stop. */
export function startLoad(
  args: readonly string[],
  namespace?: Namespace,
): {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
} {
  const child = start(commandLine('load', ...args), { namespace })
  const stdout = collect(child.stdout)
  const stderr = collect(child.stderr)
  const ended = new Promise<Outcome>(resolve => {
    child.once('close', code => resolve({ code: code ?? -1, stdout: stdout(), stderr: stderr() }))
  })
  return { child, ended }
}

/** A server that leaves it to a test how a request is answered. */
export class Responder {
  readonly url: string
  /** Requests, and the addresses of the clients, in order. */
  requests = 0
  readonly peers: string[] = []
  readonly #server: NetServer
  readonly #sockets: Set<Socket>

  private constructor(server: NetServer, sockets: Set<Socket>) {
    this.#server = server
    this.#sockets = sockets
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  /** `answer` hears of each whole request, the `n`th of all. */
  static async listen(answer: (socket: Socket, n: number) => void): Promise<Responder> {
    const sockets = new Set<Socket>()
    const server = createServer(socket => {
      sockets.add(socket)
      responder.peers.push(socket.remoteAddress ?? '')
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
      let text = ''
      socket.setEncoding('latin1').on('data', part => {
        text += part
        if (!text.endsWith('\r\n\r\n')) return
        text = ''
        answer(socket, responder.requests++)
      })
    })
    await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve))
    const responder = new Responder(server, sockets)
    return responder
  }

  /** Settles when so many requests have come. */
  async came(requests: number): Promise<void> {
    while (this.requests < requests) await new Promise(resolve => setTimeout(resolve, 20))
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** nginx with one object on port 8080 of a namespace, with which it ends. */
export async function startNginx(namespace: Namespace, bytes: number): Promise<void> {
  const { path } = temporaryFolder('load-nginx')
  writeFileSync(join(path, 'object'), Buffer.alloc(bytes, 'nginx '))
  const config = `
    daemon off; master_process off; pid ${path}/pid; error_log ${path}/error.log;
    events { worker_connections 4096; }
    http { access_log off; server { listen 8080; listen [::]:8080; root ${path}; } }`
  writeFileSync(join(path, 'nginx.conf'), config)
  start(['nginx', '-e', `${path}/error.log`, '-c', `${path}/nginx.conf`], { namespace })
  for (;;) {
    const { code } = await load([`http://127.0.0.1:8080/object`, '-n', '1', '-c', '1'], namespace)
    if (code === 0) return
  }
}
