/**
 * The shape of a configuration file, as a zod schema: types, choices and ranges, and which text is
 * a header, a glob or a host. The `error` of each key says what is expected of it. What depends on
 * other keys is looked at afterwards (sites.ts, config.ts).
 *
 * zod takes a tenth of a second to load, so only who reads a file loads it, and hands it over.
 */
import { BATCH_MAX, VLAN_ID_MAX, VLAN_ID_MIN } from '@sandstorm/libnmio'
import { TCP_DEFAULTS, tcb } from '@sandstorm/libtcpip'
import type * as Zod from 'zod'
import {
  BUSY_POLL_MAX_US,
  CONGESTIONS,
  MTU_MAX,
  MTU_MIN,
  REPLICAS_MAX,
  ROLES,
  SPIN_MAX_US,
  TRANSMITS,
  TX_DELAY_MAX_US,
} from '../config.ts'
import { WORKERS_MAX } from '../devices.ts'
import { LOG_LEVELS } from '../log/operatorLog.ts'
import { KERNEL_CONNECTIONS } from '../mount/limits.ts'
import { type KeyMaker, keyMaker } from './keys.ts'
import { LIMIT_KEYS } from './limits.ts'
import { LOG_FORMATS } from './operation.ts'
import { siteSchema } from './siteSchema.ts'

export type ZodModule = typeof Zod

/** The schema of the whole file. */
export function fileSchema(z: ZodModule): Zod.ZodType {
  const key = keyMaker(z)
  const shape = { ...placeKeys(key), ...packetKeys(key), ...threadKeys(key), ...watchKeys(z, key) }
  const error = 'a list of sites, one at least'
  const sites = z.array(siteSchema(z, key), { error }).min(1, { error })
  return z.strictObject(
    {
      $schema: key.text('where an editor finds the JSON Schema', 'a path or URL'),
      ...shape,
      limits: limitsSchema(z, key),
      root: key.text(
        'the folder, where there is one site and nothing else to say of it',
        'a folder',
      ),
      sites: key.described(
        sites,
        'what is served; the first answers for names that belong to none',
      ),
    },
    { error: 'keys and values' },
  )
}

/** Where the server is in the network. */
const placeKeys = (key: KeyMaker): Zod.ZodRawShape => ({
  device: key.texts(
    'where packets come from',
    'auto, tap, packet:IF, …, or a list of them',
    'auto',
  ),
  address: key.texts('our addresses', 'addresses like 10.77.0.2/24', '10.77.0.2/24'),
  hostAddress: key.text("the host's end of a TAP", 'an address', 'the first other one'),
  gateway: key.text('the router to clients in no subnet of ours', 'an address', 'none'),
  address6: key.texts('our IPv6 addresses', 'addresses like fd77::2/64', 'fd77::2/64'),
  hostAddress6: key.texts("the host's end of a TAP", 'addresses', 'the first other ones'),
  gateway6: key.text('where IPv6 packets for others go', 'an address', 'none'),
  trustAddress: key.flag('use our addresses without asking who else has them', 'false'),
  bridge: key.text('the bridge that the TAP joins', 'the name of a bridge', 'none'),
  vlan: key.count('the VLAN that we are in', VLAN_ID_MIN, VLAN_ID_MAX, 'none'),
  memifRole: key.choice('who brings the memory, or who listens', ROLES, 'client'),
  memifId: key.count('the interface at the socket that we are', 0, 0xffffffff, '0'),
  port: key.count('the TCP port', 1, 65535, '80; kernel: 8080'),
  mtu: key.count('the largest IP packet, bytes', MTU_MIN, MTU_MAX, '1500, or the interface’s'),
})

/** How packets are made, and what becomes of them. */
const packetKeys = (key: KeyMaker): Zod.ZodRawShape => ({
  memory: key.size('packet and content memory', '1GiB'),
  transmit: key.choice('how answers become frames', TRANSMITS, 'auto'),
  replicas: key.count('copies of each packet made in advance', 1, REPLICAS_MAX, 'on demand'),
  cc: key.choice('congestion control', CONGESTIONS, 'cubic'),
  pacing: key.flag('spread what a window allows over the round trip', 'false'),
  pcap: key.text('a file that gets all frames', 'a file name', 'none'),
  trace: key.flag('print a line for each frame', 'false'),
  fault: key.text('a bad network', 'a list like drop=0.01,delay=5ms,seed=1', 'none'),
})

const threadKeys = (key: KeyMaker): Zod.ZodRawShape => ({
  workers: key.count('packet threads of each device', 1, WORKERS_MAX, '1'),
  connections: key.count(
    'connections at the same time, of each packet thread',
    1,
    tcb.CONNECTIONS_MAX,
    `${TCP_DEFAULTS.maxConnections}; kernel: ${KERNEL_CONNECTIONS}`,
  ),
  cpus: key.numbers(
    'the CPUs that they are pinned to, in turn',
    'text like 0,2-3, or a list',
    'any',
  ),
  spin: key.count('microseconds to look for a frame before sleeping', 0, SPIN_MAX_US, '50 or 0'),
  rxBatch: key.count('for measurements: frames taken at once', 1, BATCH_MAX, `${BATCH_MAX}`),
  txDelay: key.count(
    'for measurements: microseconds that a frame to be sent waits for others',
    0,
    TX_DELAY_MAX_US,
    '0',
  ),
  busyPoll: key.count('xdp: SO_BUSY_POLL in microseconds, 0: off', 0, BUSY_POLL_MAX_US, '0'),
})

const watchKeys = (z: ZodModule, key: KeyMaker): Zod.ZodRawShape => ({
  admin: key.text('where counters and health are told', 'one like 127.0.0.1:9077', 'nowhere'),
  adminHost: key.texts(
    'a name by which that may be asked, beside localhost and addresses',
    'names like web1.example.org',
    'none',
  ),
  logLevel: key.choice('how much is said on stderr', LOG_LEVELS, 'info'),
  accessLog: key.described(
    z.strictObject(
      {
        path: key.text(
          'a file that gets a line for each request; -: stdout',
          'a file name',
          'none',
        ),
        format: key.choice('of its lines', LOG_FORMATS, 'combined'),
      },
      { error: 'path and format' },
    ),
    'the access log',
  ),
})

function limitsSchema(z: ZodModule, key: KeyMaker): Zod.ZodType {
  const shape = Object.entries(LIMIT_KEYS).map(([name, limit]) => [name, key.limit(limit)])
  const limits = z.strictObject(Object.fromEntries(shape), { error: 'limits by their names' })
  return key.described(limits, 'what a client may make the server do')
}
