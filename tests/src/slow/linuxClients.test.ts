/**
 * Linux clients of every kind: over IPv4 and IPv6, with and without SACK, timestamps, window
 * scaling and ECN, with small and large MTUs and receive buffers, with each congestion control,
 * over a good link and over one that loses and reorders. Each fetches 22 KB and 20 MB and gets the
 * right bytes.
 *
 * Here so few combinations that every two values meet; `npm run matrix` runs them all.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { curlTree } from '../kit/curlTree.ts'
import { Namespace } from '../kit/namespace.ts'
import { allCombinations, type Combination, pairwise } from '../kit/pairwise.ts'
import { needs } from '../kit/privileges.ts'
import { HOST_ADDRESS, Server, TAP_ADDRESS6 } from '../kit/server.ts'
import { makeTree, type Tree } from '../kit/tree.ts'

const KB = 1024
const AVAILABLE = '/proc/sys/net/ipv4/tcp_available_congestion_control'
const TAP = 'sand0'

/** Every link with IPv6 takes packets of this size (RFC 8200 §5). */
const IPV6_MTU_MIN = 1280

/** What needs a server of its own comes first. */
const FACTORS = {
  mtu: [576, 1280, 1500, 9000],
  fault: ['', 'drop=0.002,reorder=0.002,seed=1'],
  ip: [4, 6],
  sack: [1, 0],
  timestamps: [1, 0],
  windowScaling: [1, 0],
  ecn: [0, 1],
  buffer: [4096 * KB, 32 * KB],
  control: ['cubic', 'reno', ...(available().includes('bbr') ? ['bbr'] : [])],
} as const

type Client = Combination<typeof FACTORS>

const isFull = process.env['SANDSTORM_MATRIX'] === 'full'
const CLIENTS: readonly Client[] = isFull ? allCombinations(FACTORS) : pairwise(FACTORS)

function available(): string[] {
  return readFileSync(AVAILABLE, 'utf8').trim().split(' ')
}

/** Everything that the server cannot tell a client: how its kernel behaves from now on. */
function become(namespace: Namespace, client: Client): void {
  const { sack, timestamps, windowScaling, ecn, buffer, control } = client
  namespace.sysctl('net.ipv4.tcp_sack', sack)
  namespace.sysctl('net.ipv4.tcp_timestamps', timestamps)
  namespace.sysctl('net.ipv4.tcp_window_scaling', windowScaling)
  namespace.sysctl('net.ipv4.tcp_ecn', ecn)
  namespace.sysctl('net.ipv4.tcp_rmem', `4096 ${buffer} ${buffer}`)
  // By route, since a namespace may not choose every algorithm as its default.
  const route = ['10.77.0.0/24', 'dev', TAP, 'src', HOST_ADDRESS, 'congctl', control]
  namespace.ip('route', 'replace', ...route)
  if (client.mtu < IPV6_MTU_MIN) return
  namespace.ip('-6', 'route', 'replace', 'fd77::/64', 'dev', TAP, 'congctl', control)
}

/** Where there is no IPv6, IPv4 is asked for all the same. */
const urlFor = ({ ip, mtu }: Client, server: Server): string =>
  ip === 6 && mtu >= IPV6_MTU_MIN ? `http://[${TAP_ADDRESS6}]` : server.url

function nameOf({ ip, sack, timestamps, windowScaling, ecn, buffer, control }: Client): string {
  const has = Object.entries({ sack, timestamps, windowScaling, ecn })
  const on = has.filter(([, value]) => value === 1).map(([name]) => name)
  return `IPv${ip}, ${control}, ${buffer / KB} KB, ${on.join(', ') || 'no option'}`
}

describe('Linux clients', { ...needs('root', 'tun', 'ip', 'curl'), timeout: 3_600_000 }, () => {
  let tree: Tree
  before(() => {
    tree = makeTree(12, 20 * KB * KB)
  })
  after(() => tree?.remove())

  it('are chosen so that every two properties meet', () => {
    const pairsOf = (clients: readonly Client[]): Set<string> =>
      new Set(
        clients.flatMap(client => {
          const values = Object.entries(client).map(([name, value]) => `${name} ${value}`)
          return values.flatMap(a => values.map(b => `${a}, ${b}`))
        }),
      )
    assert.deepEqual(pairsOf(CLIENTS), pairsOf(allCombinations(FACTORS)))
  })

  for (const mtu of FACTORS.mtu) {
    for (const fault of FACTORS.fault) {
      describe(`MTU ${mtu}, ${fault === '' ? 'a good link' : fault}`, () => {
        let namespace: Namespace
        let server: Server
        before(async () => {
          namespace = new Namespace()
          const flags = ['--device', 'tap', '--mtu', String(mtu)]
          if (fault !== '') flags.push('--fault', fault)
          server = await Server.serve([tree.dir, ...flags], { namespace })
        })
        after(async () => {
          try {
            await server?.stopDrained()
          } finally {
            await server?.kill()
            namespace?.remove()
          }
        })

        for (const client of CLIENTS) {
          if (client.mtu !== mtu || client.fault !== fault) continue
          it(nameOf(client), async () => {
            become(namespace, client)
            const sizes = [22 * KB, 20 * KB * KB]
            const files = sizes.map(bytes => tree.files.find(file => file.bytes === bytes)!)
            const fetched = await curlTree(urlFor(client, server), files, {
              namespace,
              limitMs: 120_000,
            })
            assert.deepEqual(fetched.wrong, [])
          })
        }
      })
    }
  }
})
