/**
 * The order in which layouts were last used, for eviction: a list through the layouts themselves,
 * oldest first. A layout is in it as long as it has ready frames.
 */
import type { Layout } from './layouts.ts'

export class Recency {
  oldest: Layout | null = null
  #newest: Layout | null = null

  /** Makes `layout` the newest. */
  touch(layout: Layout): void {
    if (layout === this.#newest) return
    this.remove(layout)
    layout.older = this.#newest
    if (this.#newest !== null) this.#newest.newer = layout
    else this.oldest = layout
    this.#newest = layout
  }

  /** Takes `layout` out, if it is in the list. */
  remove(layout: Layout): void {
    const { older, newer } = layout
    if (older !== null) older.newer = newer
    else if (this.oldest === layout) this.oldest = newer
    if (newer !== null) newer.older = older
    else if (this.#newest === layout) this.#newest = older
    layout.older = null
    layout.newer = null
  }
}
