/**
 * A hash from names to records, as plain shared memory: paths to resources, host names to sites.
 * Open addressing; a name lies in a Uint8Array of names, its record in an Int32Array.
 *
 * The hash has no key: only the owner of a site chooses the names in it, and a client's name is
 * looked up, never stored, so nobody outside can make a probe sequence longer.
 *
 * Invariant: `find` allocates nothing and reads only what it is given.
 */

/** The first int32 fields of each record; its handle is the index of the first. */
export const NAME_SCOPE = 0 // names of one scope differ, those of two may be the same
export const NAME_OFF = 1 // byte offset of the name
export const NAME_LEN = 2

/** `find`: there is no such name. */
export const NO_RECORD = -1

/** A hash slot is a pair: the name's hash and the record, or NO_RECORD. */
export const SLOT_STRIDE = 2

export class NameTable {
  readonly #bytes: Uint8Array
  readonly #records: Int32Array
  readonly #slots: Int32Array
  readonly #slotMask: number

  /** `bytes`: where the names lie. */
  constructor(bytes: Uint8Array, records: Int32Array, slots: Int32Array) {
    this.#bytes = bytes
    this.#records = records
    this.#slots = slots
    this.#slotMask = slots.length / SLOT_STRIDE - 1
  }

  /** The record of the name bytes[start, end) in a scope, or NO_RECORD. */
  find(scope: number, bytes: Uint8Array, start: number, end: number): number {
    const hash = hashName(scope, bytes, start, end)
    const slots = this.#slots
    // Ends: at least half of the slots are empty.
    for (let slot = hash & this.#slotMask; ; slot = (slot + 1) & this.#slotMask) {
      const record = slots[slot * SLOT_STRIDE + 1]
      if (record === NO_RECORD) return NO_RECORD
      if (slots[slot * SLOT_STRIDE] === hash && this.#isName(record, scope, bytes, start, end)) {
        return record
      }
    }
  }

  #isName(record: number, scope: number, bytes: Uint8Array, start: number, end: number): boolean {
    const records = this.#records
    if (records[record + NAME_SCOPE] !== scope) return false
    if (records[record + NAME_LEN] !== end - start) return false
    const off = records[record + NAME_OFF] - start
    for (let i = start; i < end; i++) if (this.#bytes[off + i] !== bytes[i]) return false
    return true
  }
}

/** FNV-1a over the bytes, begun with the scope, then mixed, since the table uses the low bits. */
function hashName(scope: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 ^ Math.imul(scope, 0x9e3779b1)
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return hash ^ (hash >>> 13)
}

/** Slots for `count` names: a power of two, at least half of them empty. */
export function slotCount(count: number): number {
  return 2 ** Math.ceil(Math.log2(2 * count + 2))
}

/** Enters a record whose name is written; of two with one name the first is found. */
function enterName(
  bytes: Uint8Array,
  records: Int32Array,
  slots: Int32Array,
  record: number,
): void {
  const off = records[record + NAME_OFF]
  const end = off + records[record + NAME_LEN]
  const hash = hashName(records[record + NAME_SCOPE], bytes, off, end)
  const mask = slots.length / SLOT_STRIDE - 1
  let slot = hash & mask
  while (slots[slot * SLOT_STRIDE + 1] !== NO_RECORD) slot = (slot + 1) & mask
  slots[slot * SLOT_STRIDE] = hash
  slots[slot * SLOT_STRIDE + 1] = record
}

/** A name that is to be entered. */
export interface PlannedName {
  readonly scope: number
  readonly bytes: Uint8Array
  /** The rest of its record. */
  readonly values: readonly number[]
}

export interface NameMemory {
  readonly records: Int32Array<SharedArrayBuffer>
  readonly slots: Int32Array<SharedArrayBuffer>
}

/** Writes names from `off` on, one behind the other, and the tables that find them. */
export function writeNames(
  bytes: Uint8Array,
  off: number,
  names: readonly PlannedName[],
  stride: number,
): NameMemory {
  const records = sharedInts(names.length * stride)
  const slots = sharedInts(slotCount(names.length) * SLOT_STRIDE).fill(NO_RECORD)
  let at = off
  names.forEach((name, i) => {
    bytes.set(name.bytes, at)
    const record = i * stride
    records[record + NAME_SCOPE] = name.scope
    records[record + NAME_OFF] = at
    records[record + NAME_LEN] = name.bytes.length
    records.set(name.values, record + NAME_LEN + 1)
    enterName(bytes, records, slots, record)
    at += name.bytes.length
  })
  return { records, slots }
}

export function sharedInts(length: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4 * length))
}
