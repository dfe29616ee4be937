/**
 * SYNs in the name of everybody in 11.0.0.0/8, as fast as a kernel can send them: trafgen(8) writes
 * the frames itself, each with another source, port and sequence number. They go into the server's
 * TAP, in a namespace of the test's, and nowhere else; the SYN-ACKs come back to the namespace's
 * own kernel, which does not forward and so drops them without a word.
 */
import assert from 'node:assert/strict'
import { run } from './command.ts'
import type { Namespace } from './namespace.ts'
import { TAP_ADDRESS } from './server.ts'

const INTERFACE = 'sand0'

export interface Flood {
  readonly seconds: number
  /**
   * What trafgen waits between two SYNs, like `8us`; how many a second that makes, the machine
   * decides.
   */
  readonly gap: string
}

/**
 * Floods the server in `namespace` and returns how many SYNs that were. The server must have
 * answered somebody before: that is how its hardware address is known.
 */
export async function floodWithSyns(namespace: Namespace, flood: Flood): Promise<number> {
  const trafgen = ['trafgen', '--dev', INTERFACE, '--conf', '-', '--cpus', '1', '--gap', flood.gap]
  // The machine's interrupts and socket memory are none of its business.
  const modesty = ['--notouch-irq', '--no-sock-mem']
  // It has a child that does the work, and timeout(1) tells both that it is over.
  const argv = ['timeout', '--signal', 'INT', `${flood.seconds}`, ...trafgen, ...modesty]
  const input = spoofedSyn(macOfServer(namespace), macOfHost(namespace))
  const limitMs = (flood.seconds + 30) * 1000
  const { code, stdout, stderr } = await run(argv, { namespace, input, limitMs })
  assert.equal(code, TIMED_OUT, `the flood ended by itself: ${stdout}${stderr}`)
  const [, sent] = /^\s*(\d+) packets outgoing$/m.exec(stdout + stderr) ?? []
  assert.ok(Number(sent) > 0, `trafgen says how many: ${stdout}${stderr}`)
  return Number(sent)
}

/** What timeout(1) returns when the time was over. */
const TIMED_OUT = 124

function macOfServer(namespace: Namespace): string {
  const neighbours = JSON.parse(namespace.ip('-json', 'neigh', 'show', TAP_ADDRESS))
  const mac = neighbours[0]?.lladdr
  assert.equal(typeof mac, 'string', 'the server has answered before')
  return mac
}

function macOfHost(namespace: Namespace): string {
  return JSON.parse(namespace.ip('-json', 'link', 'show', INTERFACE))[0].address
}

/** A frame with a SYN, in trafgen's language: `drnd` is another number each time. */
function spoofedSyn(to: string, from: string): string {
  const server = TAP_ADDRESS.replaceAll('.', ', ')
  return `{
    ${macBytes(to)}, ${macBytes(from)}, c16(0x0800),
    0x45, 0, c16(44), c16(0), c16(0x4000), 64, 6, csumip(14, 33), 11, drnd(3), ${server},
    0x20, drnd(1), c16(80), drnd(4), c32(0), 0x60, 0x02, c16(64240), csumtcp(14, 34), c16(0),
    2, 4, c16(1460)
  }`
}

const macBytes = (mac: string): string =>
  mac
    .split(':')
    .map(byte => `0x${byte}`)
    .join(', ')
