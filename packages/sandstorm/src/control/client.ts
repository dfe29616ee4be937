/** The asker's end of a control socket: finds running servers, asks one, reads its lines. */
import { connect, type Socket } from 'node:net'
import {
  type ErrorLine,
  type InstanceLine,
  type Line,
  PROTOCOL,
  type Question,
  requestText,
} from './protocol.ts'
import { removeStale, type SocketFile, type Surroundings, socketFiles } from './runtimeDir.ts'

/** A server that says nothing for so long is stuck, or stopped. */
const SILENCE_MS = 5000

/** A running server. */
export interface Found extends SocketFile {
  readonly instance: InstanceLine
}

/** Every running server of this user, and what is wrong with those that do not answer. */
export interface Findings {
  readonly found: readonly Found[]
  readonly problems: readonly string[]
}

/** Looks at all sockets; removes those whose process is dead. */
export async function findInstances(around: Surroundings): Promise<Findings> {
  const problems: string[] = []
  const found = await Promise.all(
    socketFiles(around).map(async file => {
      try {
        return [{ ...file, instance: await whoIs(file.path) }]
      } catch (error) {
        if (!removeStale(file)) problems.push(`PID ${file.pid}: ${(error as Error).message}`)
        return []
      }
    }),
  )
  return { found: found.flat(), problems }
}

async function whoIs(path: string): Promise<InstanceLine> {
  for await (const line of ask(path, 'instance')) {
    if (line.type !== 'instance') break
    if (line.protocol === PROTOCOL) return line
    throw new Error(`it is another version of sandstorm (control protocol ${line.protocol})`)
  }
  throw new Error('it does not answer')
}

/** What the last line of a whole answer is. */
const LAST: Readonly<Record<Question, Line['type']>> = {
  instance: 'instance',
  connections: 'summary',
  stats: 'stats',
}

/** Asks, and yields the lines of the answer as they come. Throws if it is none, or not whole. */
export async function* ask(
  path: string,
  question: Question,
): AsyncGenerator<Exclude<Line, ErrorLine>> {
  const socket = connect(path).setEncoding('utf8')
  limitSilence(socket)
  socket.write(requestText(question))
  let last: Line['type'] | undefined
  let rest = ''
  for await (const chunk of socket) {
    const texts = (rest + (chunk as string)).split('\n')
    rest = texts.pop() ?? ''
    for (const text of texts) {
      const line = JSON.parse(text) as Line
      if (line.type === 'error') throw new Error(line.message)
      last = line.type
      yield line
    }
  }
  if (last !== LAST[question]) throw new Error('it ended before its answer did')
}

/**
 * A stopped process can be connected to all the same, so silence ends it. Yet when it is us who
 * were held up (by a pager that does not read on), the answer is there and only has to be read.
 */
function limitSilence(socket: Socket): void {
  socket.setTimeout(SILENCE_MS, () => {
    const { bytesRead } = socket
    setImmediate(() => {
      if (socket.bytesRead === bytesRead) socket.destroy(new Error('it does not answer'))
    })
  })
}
