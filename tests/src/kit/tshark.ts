/**
 * tshark's expert analysis of a capture (wireshark(4), "Expert Information"): it follows every TCP
 * conversation and names what looks wrong, a retransmission, a gap, an acknowledgement of something
 * never sent. On a loss-free link it must find nothing that our side caused (design: invariant 9).
 */
import { run } from './command.ts'

/** One kind of remark; the level "chat" (SYN, FIN, a request line) is left out. */
export interface Finding {
  readonly source: 'server' | 'client'
  /** `Errors`, `Warns` or `Notes`. */
  readonly severity: string
  readonly protocol: string
  readonly message: string
  readonly count: number
}

/**
 * What the server speaks; the bodies (XML, PNG …) are random bytes, whatever a file's name says.
 */
const OURS = ['Ethernet', 'ARP', 'IPv4', 'ICMP', 'IPv6', 'ICMPv6', 'TCP', 'HTTP']

/**
 * What a well-behaved server cannot prevent, by who sent the frame that tshark pins it on. A client
 * may run out of window, repeat an acknowledgement, reuse a port or reset a connection; the server
 * then fills the window and probes it.
 */
const ALLOWED: readonly (readonly [Finding['source'], RegExp])[] = [
  ['client', /TCP Zero Window segment/],
  ['client', /Duplicate ACK/],
  ['client', /Connection reset \(RST\)/],
  ['client', /new tcp session is started with the same ports/],
  ['client', /This frame (initiates|undergoes) the connection closing/],
  ['server', /This frame (initiates|undergoes) the connection closing/],
  ['server', /TCP window specified by the receiver is now completely full/],
  ['server', /TCP Zero Window Probe/],
  ['server', /HTTP body subdissector failed/],
]

/** Everything that tshark remarks on in the protocols that the server speaks. */
export async function expertFindings(pcap: string, serverAddress: string): Promise<Finding[]> {
  const server = serverAddress.includes(':')
    ? `(ipv6.src == ${serverAddress})`
    : `(ip.src == ${serverAddress} || arp.src.proto_ipv4 == ${serverAddress})`
  const findings = [
    ...(await findingsOf(pcap, 'server', server)),
    ...(await findingsOf(pcap, 'client', `!${server}`)),
  ]
  return findings.filter(({ protocol }) => OURS.includes(protocol))
}

/** The findings that only our own stack can have caused. */
export function causedByServer(findings: readonly Finding[]): Finding[] {
  return findings.filter(
    ({ source, message }) =>
      !ALLOWED.some(([from, pattern]) => from === source && pattern.test(message)),
  )
}

/**
 * How many frames of a capture a display filter selects; also shows that tshark can open it.
 * `options`: more of tshark's.
 */
export async function countFrames(
  pcap: string,
  filter: string,
  ...options: string[]
): Promise<number> {
  const argv = [...options, '-r', pcap, '-Y', filter, '-T', 'fields', '-e', 'frame.number']
  return (await tshark(argv)).split('\n').filter(Boolean).length
}

/**
 * What those frames have in some fields, '' where a frame has none; one pass for many questions.
 */
export async function fieldsOf<F extends string>(
  pcap: string,
  filter: string,
  fields: readonly F[],
): Promise<Record<F, string>[]> {
  const argv = ['-r', pcap, '-Y', filter, '-T', 'fields', ...fields.flatMap(field => ['-e', field])]
  const lines = (await tshark(argv)).split('\n').filter(Boolean)
  return lines.map(line => {
    const values = line.split('\t')
    return Object.fromEntries(fields.map((field, i) => [field, values[i]])) as Record<F, string>
  })
}

/** `-z expert` prints a heading per severity, then lines of count, group, protocol, message. */
async function findingsOf(
  pcap: string,
  source: Finding['source'],
  filter: string,
): Promise<Finding[]> {
  const findings: Finding[] = []
  let severity = ''
  const text = await tshark(['-r', pcap, '-q', '-z', `expert,note,${filter}`])
  for (const line of text.split('\n')) {
    severity = /^(\w+) \(\d+\)$/.exec(line)?.[1] ?? severity
    const [, count, protocol, message] = /^ +(\d+) +\S+ +(\S+) +(.+)$/.exec(line) ?? []
    if (message !== undefined)
      findings.push({ source, severity, protocol, message, count: Number(count) })
  }
  return findings
}

async function tshark(argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(['tshark', ...argv])
  if (code !== 0) throw new Error(`tshark ended with code ${code}: ${stderr}`)
  return stdout
}
