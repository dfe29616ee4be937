/**
 * One response as a capture has it: when which bytes were sent and acknowledged (tshark reads and
 * writes it).
 */
import { spawnSync } from 'node:child_process'
import { ended, startInside } from '../process.ts'

/** A segment with data of the server's, or an acknowledgement of the client's. */
export interface Event {
  /** Since the request left. */
  readonly us: number
  readonly kind: 'data' | 'ack'
  /** The last byte sent or acknowledged, from the start of the answer. */
  readonly bytes: number
}

/** Captures what crosses an interface while `body` runs. */
export async function captured(
  namespace: string,
  device: string,
  file: string,
  body: () => Promise<unknown>,
): Promise<void> {
  const args = ['-q', '-i', device, '-s', '120', '-f', 'tcp port 80', '-w', file]
  const tshark = startInside(namespace, ['tshark', ...args])
  const end = ended(tshark)
  await new Promise<void>((resolve, reject) => {
    tshark.stderr?.on('data', chunk => {
      if (String(chunk).includes('Capturing on')) resolve()
    })
    end.then(code => reject(new Error(`tshark ended with code ${code}`)), reject)
  })
  await body()
  tshark.kill('SIGINT')
  await end
}

interface Line {
  readonly us: number
  readonly stream: number
  readonly isServer: boolean
  readonly seq: number
  readonly ack: number
  readonly len: number
}

/**
 * Of all answers in a capture with at least so many bytes, one that took as long as half of them.
 */
export function typicalAnswer(file: string, answerBytes: number): Event[] {
  return typicalOf(parseLines(readCapture(file)), answerBytes)
}

export function typicalOf(lines: readonly Line[], answerBytes: number): Event[] {
  const byStream = new Map<number, Line[]>()
  for (const line of lines) {
    const known = byStream.get(line.stream)
    if (known === undefined) byStream.set(line.stream, [line])
    else known.push(line)
  }
  const answers = [...byStream.values()]
    .map(eventsOf)
    .filter(events => events.some(({ bytes }) => bytes >= answerBytes))
    .sort((a, b) => lastUs(a) - lastUs(b))
  if (answers.length === 0) throw new Error('no whole answer was captured')
  return answers[answers.length >> 1]
}

const lastUs = (events: readonly Event[]): number =>
  Math.max(...events.filter(({ kind }) => kind === 'data').map(({ us }) => us))

/** Of one connection. Sequence numbers are relative: the answer's first byte has number 1. */
export function eventsOf(lines: readonly Line[]): Event[] {
  const request = lines.find(({ isServer, len }) => !isServer && len > 0)
  if (request === undefined) return []
  return lines.flatMap((line): Event[] => {
    const us = line.us - request.us
    if (line.isServer) {
      return line.len > 0 ? [{ us, kind: 'data', bytes: line.seq + line.len - 1 }] : []
    }
    return line.ack > 1 ? [{ us, kind: 'ack', bytes: line.ack - 1 }] : []
  })
}

/** The fields of each segment, in lines. */
function readCapture(file: string): string {
  const fields = ['frame.time_epoch', 'tcp.stream', 'tcp.srcport', 'tcp.seq', 'tcp.ack', 'tcp.len']
  const args = ['-r', file, '-T', 'fields', ...fields.flatMap(field => ['-e', field])]
  const { status, stdout, stderr } = spawnSync('tshark', args, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  if (status !== 0) throw new Error(`tshark: ${stderr.trim()}`)
  return stdout
}

export function parseLines(text: string): Line[] {
  return text
    .trim()
    .split('\n')
    .map(line => {
      const [time, stream, port, seq, ack, len] = line.split('\t')
      const [sec, fraction = '0'] = time.split('.')
      const us = (Number(sec) % 1e6) * 1e6 + Number(`0.${fraction}`) * 1e6
      const isServer = port === '80'
      return { us, stream: +stream, isServer, seq: +seq, ack: +ack, len: +len }
    })
}
