/**
 * Opens a memif device: the queues, and the link that finds them a peer (link.ts). Main thread,
 * set-up only. There are packets as soon as the link is polled and each queue has its device.
 */
import { randomBytes } from 'node:crypto'
import { ETHERNET_HEADER_LEN, VLAN_TAG_LEN } from '../device.ts'
import { closeHandles, opening } from '../handle.ts'
import { EINVAL, SysError } from '../sys/errno.ts'
import { createMemory } from '../sys/memfd.ts'
import { openWakeFd } from '../sys/waiter.ts'
import type { MemifHandle, MemifRole } from './handle.ts'
import { RING_LOG2_MAX } from './layout.ts'
import { MemifLink } from './link.ts'
import { NAME_LEN, SECRET_LEN } from './message.ts'
import { newPortWords, REGION_MAX } from './port.ts'

/** What the caller wants of a memif interface. */
export interface MemifOptions {
  /** Path of the socket, or '@' and an abstract name. */
  readonly socket: string
  /** Default: client, which brings the memory and connects. */
  readonly role?: MemifRole
  /** Client and server name the same; default 0. */
  readonly id?: number
  /** What a client must know, ASCII; default: nothing. */
  readonly secret?: string
  /** What we are called, for the peer; default sandstorm. */
  readonly name?: string
  /** Our hardware address, six bytes; default: one by chance, locally administered. */
  readonly mac?: Uint8Array
  /** The largest IP packet, bytes; default 1500. */
  readonly mtu?: number
  /** A client's rings have 2^this descriptors; default 10. */
  readonly ringSizeLog2?: number
  /** The most memory that a server takes from its client, bytes; default 32 MB. */
  readonly peerBytes?: number
}

const MTU_DEFAULT = 1500
const RING_LOG2_DEFAULT = 10
const PEER_BYTES_DEFAULT = 32 << 20
/** A frame of the largest MTU is in one ring, in pieces. */
const RING_LOG2_MIN = 6
/** An IP packet's length is 16 bits. */
const MTU_MAX = 65535
/** Memory stays far below 2 GiB, for offsets to be small integers. */
const PEER_BYTES_MAX = 1 << 30

export interface OpenMemif {
  readonly handles: MemifHandle[]
  readonly link: MemifLink
}

/**
 * Opens what `options` describes, with `queues` queues. Throws SysError, whose hint says what to
 * do.
 */
export function openMemifQueues(options: MemifOptions, queues = 1): OpenMemif {
  const { socket, role = 'client', id = 0, secret = '', name = 'sandstorm' } = options
  const { mtu = MTU_DEFAULT, ringSizeLog2 = RING_LOG2_DEFAULT } = options
  const { peerBytes = PEER_BYTES_DEFAULT, mac = randomMac() } = options
  const check = (ok: boolean, what: string, hint: string): void => {
    if (!ok) throw new SysError(`memif:${socket}: ${what}`, EINVAL, hint)
  }
  const within = (n: number, min: number, max: number): boolean =>
    Number.isInteger(n) && n >= min && n <= max
  check(within(queues, 1, REGION_MAX), `${queues} queues`, `give 1 to ${REGION_MAX}`)
  check(within(id, 0, 0xffffffff), `id ${id}`, 'give a number of 32 bits')
  check(isText(secret, SECRET_LEN), 'secret', `give ${SECRET_LEN - 1} ASCII characters at most`)
  check(isText(name, NAME_LEN), `name ${name}`, `give ${NAME_LEN - 1} ASCII characters at most`)
  check(mac.length === 6, 'hardware address', 'give six bytes')
  check(within(mtu, 68, MTU_MAX), `MTU ${mtu}`, `give 68 to ${MTU_MAX}`)
  const isRing = within(ringSizeLog2, RING_LOG2_MIN, RING_LOG2_MAX)
  check(isRing, `ring size 2^${ringSizeLog2}`, `give ${RING_LOG2_MIN} to ${RING_LOG2_MAX}`)
  check(
    within(peerBytes, 1, PEER_BYTES_MAX),
    `${peerBytes} bytes`,
    `give ${PEER_BYTES_MAX} at most`,
  )

  const handles = opening<MemifHandle>(own =>
    Array.from({ length: queues }, (_, queue) => ({
      kind: 'memif',
      name: socket,
      role,
      queue,
      mtu,
      mac,
      ringSizeLog2,
      peerBytes,
      port: newPortWords(),
      memoryFd: role === 'client' ? own(createMemory(`memif${queue}`)) : -1,
      wakeFd: own(openWakeFd()),
    })),
  )
  try {
    const frameMax = ETHERNET_HEADER_LEN + VLAN_TAG_LEN + mtu
    const link = new MemifLink({ role, socket, id, secret, name, frameMax, handles })
    return { handles, link }
  } catch (error) {
    closeHandles(handles)
    throw error
  }
}

const isText = (text: string, size: number): boolean => text.length < size && /^[ -~]*$/.test(text)

/** Unicast, and of no manufacturer's. */
function randomMac(): Uint8Array {
  const mac = new Uint8Array(randomBytes(6))
  mac[0] = (mac[0] & 0xfc) | 0x02
  return mac
}
