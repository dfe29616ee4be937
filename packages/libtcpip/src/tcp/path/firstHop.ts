/**
 * The first hop to a host that connections will be opened to, before there is one. Of several
 * stacks on one device only the first is told what ARP and neighbour discovery find out (libnmio
 * spread/flow.ts): it says the others where to send. They take the return path (neighbour.ts), and
 * have none yet.
 */
import { assert } from '@sandstorm/libnmio'
import type { IpAddress } from '../../addresses.ts'
import { setPeer } from '../opening/connect.ts'
import { KIND_IPV6 } from '../tcb.ts'
import type { Tcp } from '../tcp.ts'
import { neighbourTo } from './neighbour.ts'

/** Words of a station: its hardware address, the upper two bytes and the lower four; 0: unknown. */
export const STATION_WORDS = 2

/**
 * Is the first hop to `remote` known? If so it is in `station` now; if not, it has been asked for.
 */
export function findFirstHop(tcp: Tcp, remote: IpAddress, station: Int32Array): boolean {
  const to = tcp.opening
  setPeer(to, 0, remote)
  const entry = neighbourTo(tcp, to)
  if (entry < 0) return false
  const { macHi, macLo } = to.kind & KIND_IPV6 ? tcp.ndp : tcp.arp
  station[0] = macHi[entry]
  station[1] = macLo[entry]
  return true
}

/** Connections that a stack that takes the return path opens from now on begin at `station`. */
export function setFirstHop(tcp: Tcp, station: Int32Array): void {
  assert(tcp.takesReturnPath, 'somebody else finds our neighbours')
  tcp.opening.stationHi = station[0]
  tcp.opening.stationLo = station[1]
}
