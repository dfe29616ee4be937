/**
 * Which devices to serve on, and with which threads: the words of `--device`, `--workers` and
 * `--cpus`.
 */
import { ConfigError, UserError } from './cli/errors.ts'

export type DeviceKind = 'auto' | 'tap' | 'packet' | 'xdp' | 'memif' | 'kernel'

/**
 * `name`: the interface, the socket of memif, '' for kernel. auto is tap, or kernel where there can
 * be no TAP; packet and xdp are on an interface that is there.
 */
export interface DeviceName {
  readonly kind: DeviceKind
  readonly name: string
}

const DEVICE_FORMS = 'auto, tap, tap:NAME, packet:IF, xdp:IF, memif:SOCKET or kernel'
const NAMED = ['tap', 'packet', 'xdp'] as const
/** The TAP that serve makes unless told otherwise. */
export const TAP_NAME = 'sand0'

interface AddressFlags {
  readonly address?: readonly string[]
  readonly address6?: readonly string[]
}

/** Each a packet thread of its own, with a hub of mailboxes from each to each. */
export const WORKERS_MAX = 32
const DEVICES_MAX = 8
const CPU_MAX = 1023

/** Checks all `--device`s. Throws ConfigError. */
export function checkDevices(texts: readonly string[]): DeviceName[] {
  const devices = texts.map(checkDevice)
  if (devices.length === 1) return devices
  const refuse = (i: number, why: string, expected: string): never => {
    throw new ConfigError('--device', texts[i], why, expected)
  }
  for (const [i, { kind, name }] of devices.entries()) {
    if (kind === 'auto' || kind === 'kernel')
      refuse(i, 'beside another', 'tap, packet:IF, xdp:IF or memif:SOCKET')
    if (devices.findIndex(other => other.name === name) < i) refuse(i, 'given twice', 'another one')
    const isSecond = ADDRESSED.includes(kind) && devices.findIndex(isAddressed) < i
    if (isSecond) refuse(i, 'a second TAP or memif', 'one at most, which has the address')
  }
  if (devices.length > DEVICES_MAX) refuse(DEVICES_MAX, 'too many', `${DEVICES_MAX} at most`)
  return devices
}

/** Devices that have no addresses but those of the flags. */
const ADDRESSED: readonly DeviceKind[] = ['tap', 'memif']
const isAddressed = ({ kind }: DeviceName): boolean => ADDRESSED.includes(kind)

/**
 * The kind of device that flags about addresses are for: with several, the TAP or memif; the others
 * have those of their interfaces.
 */
export function networkKind(devices: readonly DeviceName[], raw: AddressFlags): DeviceKind {
  const { kind } = devices.find(isAddressed) ?? devices[0]
  if (devices.length === 1 || ADDRESSED.includes(kind)) return kind
  const flags = { '--address': raw.address, '--address6': raw.address6 }
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined) continue
    const why = 'with several devices each has the addresses of its interface'
    throw new UserError(flag, why, 'Leave it out, or serve on one device')
  }
  return kind
}

/** `0,2-3`: numbers and ranges of them. */
export function checkCpus(text: string): number[] {
  const expected = 'CPU numbers like 0,2-3'
  return text.split(',').flatMap(part => {
    const [, first, last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? []
    if (first === undefined || Number(last) < Number(first) || Number(last) > CPU_MAX)
      throw new ConfigError('--cpus', text, 'no such list', expected)
    return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i)
  })
}

function checkDevice(text: string): DeviceName {
  const [, word, , name] = /^([^:]*)(:(.*))?$/.exec(text) ?? []
  if (text === 'kernel') return { kind: 'kernel', name: '' }
  if (text === 'auto' || text === 'tap') return { kind: text, name: TAP_NAME }
  if (word === 'memif') return { kind: word, name: checkSocket(text) }
  const kind = NAMED.find(known => known === word)
  if (kind === undefined) throw new ConfigError('--device', text, 'no such device', DEVICE_FORMS)
  return {
    kind,
    name: checkInterfaceName('--device', text, name ?? '', `${kind}:NAME with a NAME`),
  }
}

/** A path, which may have colons, or '@' and an abstract name. */
function checkSocket(text: string): string {
  const name = text.slice('memif:'.length)
  const bytes = Buffer.byteLength(name)
  // linux/un.h: UNIX_PATH_MAX, with the final NUL.
  if (bytes > 0 && bytes < 108 && !name.includes('\0') && name !== '@') return name
  throw new ConfigError(
    '--device',
    text,
    'no socket',
    'memif:PATH or memif:@NAME, 107 bytes at most',
  )
}

/** `text`: what was typed, and `name` the part of it. Throws ConfigError. */
export function checkInterfaceName(
  flag: string,
  text: string,
  name: string,
  expected: string,
): string {
  // linux/if.h: IFNAMSIZ is 16 with the final NUL; net/core/dev.c: dev_valid_name; % is a pattern.
  const isName = /^[^\s/:%]{1,15}$/.test(name) && !/^\.\.?$/.test(name)
  if (isName && Buffer.byteLength(name) <= 15) return name
  const rest = 'of 1 to 15 bytes, without spaces, "/", ":" and "%"'
  throw new ConfigError(flag, text, 'not an interface name', `${expected} ${rest}`)
}
