/**
 * What a changed configuration means to a server that runs: `sites` and `logLevel` can be had by a
 * reload, everything else only by a restart.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ServeConfig } from '../config.ts'
import { LIMIT_KEYS } from './limits.ts'

/** Values by the keys of a file, which are the names of flags. */
type Values = Readonly<Record<string, unknown>>

const at =
  (key: string) =>
  (value: unknown): Values => ({ [key]: value })
/** Of what a reload brings, and of what follows from other keys. */
const nothing = (): Values => ({})

/** For each member the keys that it was made from. */
const KEYS: { readonly [K in keyof ServeConfig]: (value: ServeConfig[K]) => Values } = {
  sites: sites => ({ origin: originsOf(sites) }),
  logLevel: nothing,
  stackFlags: nothing,
  devices: at('device'),
  address: at('address'),
  prefixLen: at('address'),
  others: at('address'),
  hostAddress: at('hostAddress'),
  gateway: at('gateway'),
  // Whether they are the default decides only what becomes of a start without IPv6.
  link6: ({ addresses, hostAddresses, gateway }) => ({
    address6: addresses,
    hostAddress6: hostAddresses,
    gateway6: gateway,
  }),
  port: at('port'),
  kernel: ({ address, port, connections }) => ({ address, port, connections }),
  mtu: at('mtu'),
  memoryBytes: at('memory'),
  transmit: at('transmit'),
  replicas: at('replicas'),
  cc: at('cc'),
  pacing: at('pacing'),
  pcap: at('pcap'),
  trace: at('trace'),
  spinUs: at('spin'),
  rxBatch: at('rxBatch'),
  txDelayUs: at('txDelay'),
  busyPollUs: at('busyPoll'),
  memif: ({ role, id }) => ({ memifRole: role, memifId: id }),
  trustsAddresses: at('trustAddress'),
  bridge: at('bridge'),
  vlan: at('vlan'),
  fault: at('fault'),
  workers: at('workers'),
  connections: at('connections'),
  cpus: at('cpus'),
  accessLog: ({ path, format }) => ({ 'accessLog.path': path, 'accessLog.format': format }),
  admin: admin => ({ admin: admin && [admin.address, admin.port], adminHost: admin?.hosts ?? [] }),
  limits: limits => {
    const values = Object.entries(LIMIT_KEYS).map(([key, { member }]) => [
      `limits.${key}`,
      limits[member],
    ])
    return Object.fromEntries(values)
  },
}

/**
 * The keys, each once, that differ and take effect only after a restart, by their names in a file.
 * A default that follows from another key counts too: another `device` may mean another `port`.
 */
export function restartKeys(old: ServeConfig, next: ServeConfig): string[] {
  const members = Object.keys(KEYS) as (keyof ServeConfig)[]
  return [...new Set(members.flatMap(member => changedKeys(member, old, next)))]
}

function changedKeys<K extends keyof ServeConfig>(
  member: K,
  old: ServeConfig,
  next: ServeConfig,
): string[] {
  const before = KEYS[member](old[member])
  const after = KEYS[member](next[member])
  return Object.keys(after).filter(key => !isDeepStrictEqual(before[key], after[key]))
}

/**
 * What a server that started with `old` can make of `next` without a restart. Sites that have other
 * origins are none of it: an origin's cache and connections live as long as the server.
 */
export function reloadable(old: ServeConfig, { sites, logLevel }: ServeConfig): ServeConfig {
  const haveSameOrigins = isDeepStrictEqual(originsOf(old.sites), originsOf(sites))
  return { ...old, sites: haveSameOrigins ? sites : old.sites, logLevel }
}

/** By site. Trailing sites without one are no difference. */
function originsOf(sites: ServeConfig['sites']): unknown[] {
  const origins: unknown[] = sites.map(({ origin }) => origin)
  while (origins.length > 0 && origins.at(-1) === undefined) origins.pop()
  return origins
}
