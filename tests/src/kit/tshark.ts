/**
 * tshark's expert analysis of a capture (wireshark(4), "Expert Information"): it follows every TCP
 * conversation and names what looks wrong, a retransmission, a gap, an acknowledgement of something
 * never sent. On a loss-free link it must find nothing that our side caused (design: invariant 9).
 */
import { run } from './command.ts'

const NAMES = new Map([
  [0x400000, 'note'],
  [0x600000, 'warning'],
  [0x800000, 'error'],
])

/** One remark on one frame; remarks of level "chat" (SYN, FIN, a request line) are left out. */
export interface Finding {
  readonly frame: number
  readonly source: 'server' | 'client'
  readonly severity: string
  readonly message: string
}

/**
 * What a well-behaved server cannot prevent, by the frame that tshark pins it on. A client may run
 * out of window, repeat an acknowledgement, reuse a port or reset a connection; the server then
 * fills the window and probes it.
 */
const ALLOWED: readonly (readonly [Finding['source'], RegExp])[] = [
  ['client', /TCP Zero Window segment/],
  ['client', /Duplicate ACK/],
  ['client', /Connection reset \(RST\)/],
  ['client', /new tcp session is started with the same ports/],
  ['server', /TCP window specified by the receiver is now completely full/],
  ['server', /TCP Zero Window Probe/],
]

/** Everything tshark remarks on, attributed by source address. */
export async function expertFindings(pcap: string, serverAddress: string): Promise<Finding[]> {
  const fields = ['frame.number', 'ip.src', '_ws.expert.severity', '_ws.expert.message']
  const { code, stdout, stderr } = await run([
    'tshark',
    ...['-r', pcap, '-Y', '_ws.expert', '-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=|'],
    ...fields.flatMap(field => ['-e', field]),
  ])
  if (code !== 0) throw new Error(`tshark ended with code ${code}: ${stderr}`)
  return stdout
    .split('\n')
    .filter(Boolean)
    .flatMap(line => parseLine(line, serverAddress))
}

/** The findings that only our own stack can have caused. */
export function causedByServer(findings: readonly Finding[]): Finding[] {
  return findings.filter(
    ({ source, message }) =>
      !ALLOWED.some(([from, pattern]) => from === source && pattern.test(message)),
  )
}

/** How many frames of a capture a display filter selects; also shows that tshark can open it. */
export async function countFrames(pcap: string, filter: string): Promise<number> {
  const argv = ['tshark', '-r', pcap, '-Y', filter, '-T', 'fields', '-e', 'frame.number']
  const { code, stdout, stderr } = await run(argv)
  if (code !== 0) throw new Error(`tshark ended with code ${code}: ${stderr}`)
  return stdout.split('\n').filter(Boolean).length
}

function parseLine(line: string, serverAddress: string): Finding[] {
  const [frame, address, severities, messages] = line.split('\t')
  const levels = severities.split('|').map(Number)
  const source = address === serverAddress ? 'server' : 'client'
  return messages
    .split('|')
    .map((message, i) => ({
      frame: Number(frame),
      source,
      severity: NAMES.get(levels[i]),
      message,
    }))
    .filter((finding): finding is Finding => finding.severity !== undefined)
}
