/**
 * The child process of readers.ts, whose job is its argument. Prints `low N` when the oldest of the
 * versions that its connections saw last is another; at the end of standard input it ends and
 * prints its report.
 */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReadersJob, ReadersReport } from './readers.ts'
import { versionOf, versionWrittenOver } from './versions.ts'

const WRONG_MAX = 10
const ETAG_CHARS = 22

interface Answer {
  readonly status: number
  readonly head: string
  readonly body: Buffer
}

const job = JSON.parse(process.argv[2]) as ReadersJob
const { pauseMs = 10, isWrittenOver = false } = job
const { hostname, port } = new URL(job.url)
const statuses: Record<string, number> = {}
const wrong: string[] = []
const versions = new Set<number>()
/** By connection. */
const last = new Array<number>(job.connections).fill(0)
let answers = 0
let lost = 0
let low = 0
let isEnding = false

process.stdin.resume().once('end', () => {
  isEnding = true
})
await Promise.all(last.map((_, connection) => read(connection)))
const report: ReadersReport = { answers, statuses, lost, wrong, versions: versions.size }
process.stdout.write(`report ${JSON.stringify(report)}\n`)

async function read(connection: number): Promise<void> {
  for (let asked = connection; !isEnding; ) {
    const socket = connect({ host: hostname, port: Number(port) || 80, noDelay: true })
    socket.on('error', () => {})
    for (; !isEnding; asked++) {
      const path = job.paths[asked % job.paths.length]
      const answer = await ask(socket, path)
      if (answer === undefined) break
      judge(connection, path, answer)
      await sleep(pauseMs)
    }
    if (!isEnding) {
      lost++
      last[connection] = 0
      await sleep(pauseMs)
    }
    socket.destroy()
  }
}

function judge(connection: number, path: string, { status, head, body }: Answer): void {
  answers++
  statuses[status] = (statuses[status] ?? 0) + 1
  if (status !== 200) return
  const complain = (what: string): void => {
    if (wrong.length < WRONG_MAX) wrong.push(`${path}: ${what}`)
  }
  const etag = createHash('sha256').update(body).digest('base64url').slice(0, ETAG_CHARS)
  if (field(head, 'etag') !== `"${etag}"`) complain(`the entity tag is not that of the body`)
  const version = isWrittenOver ? versionWrittenOver(body) : versionOf(body)
  if (version === 0) complain(`no version: ${body.length} bytes, ${body.toString('latin1', 0, 80)}`)
  const config = field(head, 'x-config')
  if (config !== '' && config !== `${version}`)
    complain(`version ${version} with rules of ${config}`)
  if (version < last[connection]) complain(`${version} after ${last[connection]}`)
  versions.add(version)
  last[connection] = version
  const lowest = Math.min(...last)
  if (lowest === low) return
  low = lowest
  process.stdout.write(`low ${low}\n`)
}

function field(head: string, name: string): string {
  return new RegExp(`^${name}: (.*)\r$`, 'im').exec(head)?.[1] ?? ''
}

/** The whole answer; undefined: the connection ended before. */
function ask(socket: Socket, path: string): Promise<Answer | undefined> {
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let wanted = Number.POSITIVE_INFINITY
    let headEnd = -1
    const settle = (answer: Answer | undefined): void => {
      socket.off('data', onData)
      socket.off('close', onClose)
      resolve(answer)
    }
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      let bytes = chunks.reduce((sum, { length }) => sum + length, 0)
      if (headEnd < 0) {
        const all = Buffer.concat(chunks)
        headEnd = all.indexOf('\r\n\r\n')
        if (headEnd < 0) return
        headEnd += 4
        bytes = all.length
        wanted = headEnd + Number(field(all.toString('latin1', 0, headEnd), 'content-length'))
      }
      if (bytes < wanted) return
      const all = Buffer.concat(chunks)
      const head = all.toString('latin1', 0, headEnd)
      if (bytes > wanted && wrong.length < WRONG_MAX) wrong.push(`${path}: more than its length`)
      settle({ status: Number(head.slice(9, 12)), head, body: all.subarray(headEnd, wanted) })
    }
    const onClose = (): void => settle(undefined)
    if (socket.destroyed) return onClose()
    socket.on('data', onData)
    socket.once('close', onClose)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
  })
}
