/**
 * The stored responses: bounded memory, least recently used first out. An entry is found by its URL
 * and by what Vary selects; it is dropped by URL or tag, or made stale (soft purge).
 *
 * A fetch that began before a purge must not store after it. So a fetch takes a ticket first, and a
 * purge voids the tickets of its URL; of a tag it is noted while older tickets are out.
 * Invariant: `bytes` is the sum over all entries, and never above the limit.
 */
import { type Entry, tagsOf } from './entry.ts'
import { secondaryKey } from './key.ts'
import type { Fields } from './message.ts'

/**
 * What an entry costs besides its text and body: objects and map slots. 20,000 entries of 200 bytes
 * with eight fields and two tags took 2,335 bytes each and are counted as 2,579 (Node 20,
 * 2026-11-28).
 */
const ENTRY_OVERHEAD = 800
const FIELD_OVERHEAD = 80
const TAG_OVERHEAD = 200

/** A fetch's right to store. */
export interface Ticket {
  readonly key: string
  readonly number: number
}

export interface StoreStats {
  entries: number
  bytes: number
  evicted: number
  purged: number
  /** Fetches whose URL or tag was purged while they ran. */
  outdated: number
}

/** Told of every change, in order: a disk that follows. */
export interface StoreWatcher {
  onPut(entry: Entry): void
  onDrop(entry: Entry): void
}

export class Store {
  readonly watchers: StoreWatcher[] = []
  /** Was it used since this was asked last, without `find`? Then it does not give way yet. */
  wasUsed: (entry: Entry) => boolean = () => false
  readonly stats: StoreStats = { entries: 0, bytes: 0, evicted: 0, purged: 0, outdated: 0 }
  readonly #bytesMax: number
  readonly #variantsMax: number
  /** By key, variants in order of storing. */
  readonly #urls = new Map<string, Entry[]>()
  /** Every entry, least recently used first, with its size. */
  readonly #recency = new Map<Entry, number>()
  readonly #tagged = new Map<string, Set<Entry>>()
  #number = 0
  readonly #tickets = new Map<string, Set<Ticket>>()
  #ticketCount = 0
  /** Tag → number at its last purge, and that of `purgeAll` under ''. */
  readonly #tagPurges = new Map<string, number>()

  constructor(bytesMax: number, variantsMax: number) {
    this.#bytesMax = bytesMax
    this.#variantsMax = variantsMax
  }

  /** The newest entry that the request's fields select (RFC 9111 §4.1), now most recently used. */
  find(key: string, fields: Fields): Entry | undefined {
    let best: Entry | undefined
    for (const entry of this.#urls.get(key) ?? []) {
      const isBetter = best === undefined || entry.dateMs >= best.dateMs
      if (isBetter && secondaryKey(entry.varyNames, fields) === entry.secondary) best = entry
    }
    if (best !== undefined) this.#touch(best)
    return best
  }

  /** Is there an entry for the URL, whatever its Vary selects? */
  has(key: string): boolean {
    return this.#urls.has(key)
  }

  /** The names that the newest response for the URL varies on; [] if there is none. */
  varyNames(key: string): readonly string[] {
    return this.#urls.get(key)?.at(-1)?.varyNames ?? []
  }

  begin(key: string): Ticket {
    const ticket = { key, number: ++this.#number }
    const tickets = this.#tickets.get(key) ?? new Set()
    this.#tickets.set(key, tickets.add(ticket))
    this.#ticketCount++
    return ticket
  }

  /** Gives a ticket back; every ticket must be. */
  end(ticket: Ticket): void {
    const tickets = this.#tickets.get(ticket.key)
    if (tickets?.delete(ticket) && tickets.size === 0) this.#tickets.delete(ticket.key)
    this.#ticketCount--
    if (this.#ticketCount === 0) this.#tagPurges.clear()
  }

  /** May the ticket's fetch still store a response with these fields? */
  isCurrent(ticket: Ticket, fields: Fields): boolean {
    const isVoid = this.#tickets.get(ticket.key)?.has(ticket) !== true
    const purgedAt = (tag: string): number => this.#tagPurges.get(tag) ?? 0
    const isCurrent = !isVoid && !['', ...tagsOf(fields)].some(tag => purgedAt(tag) > ticket.number)
    if (!isCurrent) this.stats.outdated++
    return isCurrent
  }

  /** Stores an entry in place of the one that it replaces; false if it is too large. */
  put(entry: Entry): boolean {
    const bytes = entryBytes(entry)
    if (bytes > this.#bytesMax) return false
    this.#replace(entry)
    const variants = this.#urls.get(entry.key) ?? []
    if (variants.length >= this.#variantsMax) this.#evict(variants[0])
    while (this.stats.bytes + bytes > this.#bytesMax) this.#evict(this.#leastUsed())
    const left = this.#urls.get(entry.key) ?? []
    this.#urls.set(entry.key, [...left, entry])
    this.#recency.set(entry, bytes)
    for (const tag of entry.tags) {
      this.#tagged.set(tag, (this.#tagged.get(tag) ?? new Set()).add(entry))
    }
    this.stats.bytes += bytes
    this.stats.entries++
    for (const watcher of this.watchers) watcher.onPut(entry)
    return true
  }

  /** Takes out an entry, if it is still there. */
  drop(entry: Entry): boolean {
    const bytes = this.#recency.get(entry)
    if (bytes === undefined) return false
    this.#recency.delete(entry)
    const left = (this.#urls.get(entry.key) ?? []).filter(other => other !== entry)
    if (left.length === 0) this.#urls.delete(entry.key)
    else this.#urls.set(entry.key, left)
    for (const tag of entry.tags) {
      const tagged = this.#tagged.get(tag)
      if (tagged?.delete(entry) && tagged.size === 0) this.#tagged.delete(tag)
    }
    this.stats.bytes -= bytes
    this.stats.entries--
    for (const watcher of this.watchers) watcher.onDrop(entry)
    return true
  }

  /**
   * Drops all variants of a URL, or makes them stale from `softMs` on, and keeps fetches under way
   * from storing. Returns how many entries it met.
   */
  purge(key: string, softMs?: number): number {
    const tickets = this.#tickets.get(key)
    this.#tickets.delete(key)
    tickets?.clear()
    return this.#purge(this.#urls.get(key) ?? [], softMs)
  }

  /** Likewise for all entries with a tag. */
  purgeTag(tag: string, softMs?: number): number {
    if (this.#ticketCount > 0) this.#tagPurges.set(tag, ++this.#number)
    return this.#purge([...(this.#tagged.get(tag) ?? [])], softMs)
  }

  purgeAll(softMs?: number): number {
    if (this.#ticketCount > 0) this.#tagPurges.set('', ++this.#number)
    return this.#purge([...this.#recency.keys()], softMs)
  }

  /** All entries, least recently used first. */
  entries(): IterableIterator<Entry> {
    return this.#recency.keys()
  }

  #purge(entries: readonly Entry[], softMs: number | undefined): number {
    for (const entry of entries) {
      this.drop(entry)
      if (softMs !== undefined) {
        this.put({ ...entry, staleFromMs: Math.min(softMs, entry.staleFromMs) })
      }
    }
    this.stats.purged += entries.length
    return entries.length
  }

  /** Drops what the new entry answers as well: the same Vary and the same selecting fields. */
  #replace(entry: Entry): void {
    const names = entry.varyNames.join()
    for (const other of this.#urls.get(entry.key) ?? []) {
      if (other.secondary === entry.secondary && other.varyNames.join() === names) this.drop(other)
    }
  }

  #touch(entry: Entry): void {
    const bytes = this.#recency.get(entry)!
    this.#recency.delete(entry)
    this.#recency.set(entry, bytes)
  }

  /** Ends: asking whether an entry was used forgets that it was. */
  #leastUsed(): Entry {
    let entry = this.#first()
    for (let tries = this.#recency.size; tries > 0 && this.wasUsed(entry); tries--) {
      this.#touch(entry)
      entry = this.#first()
    }
    return entry
  }

  #first(): Entry {
    return this.#recency.keys().next().value!
  }

  #evict(entry: Entry): void {
    this.drop(entry)
    this.stats.evicted++
  }
}

/** Memory of an entry, in bytes: text counts two bytes a character. */
export function entryBytes(entry: Entry): number {
  let bytes = ENTRY_OVERHEAD + entry.body.byteLength
  bytes += 2 * (entry.key.length + entry.secondary.length + entry.varyNames.join().length)
  for (const [name, value] of entry.fields) {
    bytes += FIELD_OVERHEAD + 2 * (name.length + value.length)
  }
  // The directives are read from the fields, the tags point back here.
  bytes += FIELD_OVERHEAD * entry.control.directives.size + TAG_OVERHEAD * entry.tags.length
  return bytes
}
