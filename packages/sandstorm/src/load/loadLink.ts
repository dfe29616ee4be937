/**
 * Our addresses for a run on our own stack, of the version of the server's: as `serve` is told them
 * (link4.ts, link6.ts), but for those that `--source` adds. The kernel's stack has addresses of its
 * own.
 */
import { UserError } from '../cli/errors.ts'
import { checkOptionalNumber } from '../config/numbers.ts'
import { checkVlan, MTU_MAX, MTU_MIN, refuseHostAddress } from '../config.ts'
import type { DeviceName } from '../devices.ts'
import { checkLink4, type Link4, type Link4Flags, NO_LINK4, TAP_PREFIX_LEN } from '../link4.ts'
import { checkLink6, type Link6, type Link6Flags, NO_LINK6 } from '../link6.ts'
import { isIpv6, type Target } from './target.ts'

export interface LoadLinkFlags extends Link4Flags, Link6Flags {
  readonly address?: readonly string[]
  readonly source?: string
  readonly mtu?: string
  readonly vlan?: string
}

export interface LoadLink {
  /** One of them has addresses, and none on the kernel's stack. */
  readonly link4: Link4
  readonly link6: Link6
  /** 0: what the interface takes. */
  readonly mtu: number
  /** 0: none. */
  readonly vlan: number
}

/** `sources`: what `--source` says. Throws UserError. */
export function checkLink(
  raw: LoadLinkFlags,
  device: DeviceName,
  target: Target,
  sources: readonly string[],
): LoadLink {
  const { kind } = device
  if (kind === 'kernel') {
    const others = { '--mtu': raw.mtu, '--vlan': raw.vlan }
    refuse({ ...flags4(raw), ...flags6(raw), ...others }, OWN_ALONE, 'or use --device tap')
    return { link4: NO_LINK4, link6: NO_LINK6, mtu: 0, vlan: 0 }
  }
  const vlan = checkVlan(raw.vlan, [device])
  const demander = kind === 'tap' ? '--vlan' : `--device ${kind}`
  const isOnLink = kind !== 'tap' || vlan !== 0
  if (isOnLink) refuseHostAddress(raw)
  const mtuDefault = kind === 'tap' ? 1500 : 0
  const mtu = checkOptionalNumber('--mtu', raw.mtu, MTU_MIN, MTU_MAX) ?? mtuDefault
  if (isIpv6(target)) {
    const others = { ...flags4(raw), '--source': raw.source }
    refuse(others, 'is for IPv4, and the server’s address is not', 'and give ours with --address6')
    return { link4: NO_LINK4, link6: ownLink6(raw, demander, mtu, isOnLink), mtu, vlan }
  }
  refuse(flags6(raw), 'is for IPv6, and the server’s address is not', 'or give that in the URL')
  return { link4: ownLink4(raw, demander, sources, isOnLink), link6: NO_LINK6, mtu, vlan }
}

function ownLink4(
  raw: LoadLinkFlags,
  demander: string,
  sources: readonly string[],
  isOnLink: boolean,
): Link4 {
  const { address: typed, ...others } = raw
  const address = addressesOf(typed, sources)
  if (address.length > 0) return checkLink4({ ...others, address }, isOnLink, false)
  if (isOnLink) throw needsAddress(demander, 'an address', '--address')
  return checkLink4(others, isOnLink, false)
}

/** Sources are addresses of ours, in the subnet of the first `--address`; others join them. */
function addressesOf(typed: readonly string[] = [], sources: readonly string[]): string[] {
  if (sources.length === 0) return [...typed]
  const len = /\/(\d+)$/.exec(typed[0] ?? '')?.[1] ?? `${TAP_PREFIX_LEN}`
  const bare = typed.map(text => text.replace(/\/.*$/, ''))
  const others = typed.filter((_, i) => !sources.includes(bare[i]))
  return [...sources.map(source => `${source}/${len}`), ...others]
}

function ownLink6(raw: LoadLinkFlags, demander: string, mtu: number, isOnLink: boolean): Link6 {
  const link6 = checkLink6(raw, mtu, isOnLink)
  if (link6.addresses.length > 0) return link6
  throw needsAddress(demander, 'an IPv6 address', '--address6')
}

/** `demander`: the flag that makes us a host on a link, with an address that nobody can guess. */
const needsAddress = (demander: string, what: string, flag: string): UserError =>
  new UserError(demander, `needs ${what} of ours`, `Give one with ${flag}`)

type Flags = Readonly<Record<string, unknown>>

const flags4 = (raw: LoadLinkFlags): Flags => ({
  '--address': raw.address,
  '--host-address': raw.hostAddress,
  '--gateway': raw.gateway,
})

const flags6 = (raw: LoadLinkFlags): Flags => ({
  '--address6': raw.address6,
  '--host-address6': raw.hostAddress6,
  '--gateway6': raw.gateway6,
})

const OWN_ALONE = 'works on our own stack, and --device kernel is not that'

/** Refuses the first that was given. */
function refuse(flags: Flags, why: string, orElse = ''): void {
  const given = Object.entries(flags).find(([, value]) => value !== undefined)
  if (given === undefined) return
  throw new UserError(given[0], why, orElse === '' ? 'Leave it out' : `Leave it out, ${orElse}`)
}
