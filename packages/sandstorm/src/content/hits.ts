/**
 * Stored answers of origins that readers may give by themselves (hitTable.ts): on the main thread,
 * which makes their images, tells every reader, and frees them when no reader can need them any
 * more.
 */
import type { Head } from './head.ts'
import { HITS_MAX } from './hitTable.ts'
import { AGE_SINCE, NO_IMAGE } from './image.ts'
import { ImageStore } from './imageStore.ts'

/** A hit, as readers are told of it. */
export interface HitRecord {
  readonly id: number
  readonly site: number
  /** In lower case, as clients name it. */
  readonly host: Uint8Array
  /** Path and query, as clients name them. */
  readonly target: Uint8Array
  readonly image: number
  /** From this second since 1970 on it is the main thread's to decide. */
  readonly expiresSec: number
}

/** What readers are told, in this order; they note the number (holds.ts). */
export type HitMail =
  | { readonly kind: 'hit'; readonly number: number; readonly record: HitRecord }
  | { readonly kind: 'noHit'; readonly number: number; readonly id: number }

/** What is to be a hit. */
export interface HitPlan extends Pick<HitRecord, 'site' | 'host' | 'target' | 'expiresSec'> {
  /** Its time field, in place of Date, is that of Age (content/date.ts). */
  readonly head: Head
  readonly body: Uint8Array
  /** The second since 1970 at which its age was 0. */
  readonly ageSinceSec: number
}

export class Hits {
  readonly #store: ImageStore
  readonly #bytesMax: number
  readonly #tell: (mail: HitMail) => void
  readonly #used: Uint8Array<SharedArrayBuffer>
  readonly #records = new Map<number, HitRecord>()
  readonly #freeIds: number[] = []
  #bytes = 0
  #number = 0

  /** Takes `bytesMax` of the store at most; `tell` reaches all readers. */
  constructor(store: ImageStore, bytesMax: number, tell: (mail: HitMail) => void) {
    this.#store = store
    this.#bytesMax = bytesMax
    this.#tell = tell
    this.#used = new Uint8Array(new SharedArrayBuffer(HITS_MAX))
  }

  /** For a new reader: the hits, which of them are used, and the number of the last mail. */
  get records(): readonly HitRecord[] {
    return [...this.#records.values()]
  }
  get used(): SharedArrayBuffer {
    return this.#used.buffer
  }
  get number(): number {
    return this.#number
  }

  /** Memory that they may want yet: nobody else should take it. */
  get wantedBytes(): number {
    return this.#bytesMax - this.#bytes
  }

  /** Lets readers answer with it from now on; undefined: there is no room. */
  put(plan: HitPlan): HitRecord | undefined {
    const { head, body, site, host, target, expiresSec } = plan
    if (this.#store.retiredCount > 0) this.#store.reclaim()
    const len = ImageStore.bytesOf(head, body.length)
    if (this.#bytes + len > this.#bytesMax) return undefined
    const id = this.#freeIds.pop() ?? this.#records.size
    if (id >= HITS_MAX) return undefined
    const image = this.#store.addWhole(head, body)
    if (image === NO_IMAGE) {
      this.#freeIds.push(id)
      return undefined
    }
    this.#store.images[image + AGE_SINCE] = plan.ageSinceSec | 0
    this.#bytes += len
    this.#used[id] = 0
    const record = { id, site, host, target, image, expiresSec }
    this.#records.set(id, record)
    this.#tell({ kind: 'hit', number: ++this.#number, record })
    return record
  }

  /** No reader may answer with it once it has heard of this. */
  drop({ id, image }: HitRecord): void {
    this.#records.delete(id)
    this.#freeIds.push(id)
    this.#bytes -= this.#store.lenOf(image) + (this.#store.lenOf(image) & 1)
    this.#store.retireHit(image, ++this.#number)
    this.#tell({ kind: 'noHit', number: this.#number, id })
  }

  /** Has a reader answered with it since this was asked last? */
  wasUsed({ id }: HitRecord): boolean {
    const wasUsed = this.#used[id] !== 0
    this.#used[id] = 0
    return wasUsed
  }
}
