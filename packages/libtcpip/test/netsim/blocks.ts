/**
 * What has arrived beyond a gap: ranges of sequence numbers that touch nowhere, the most recently
 * changed one first, which is the order in which RFC 2018 §4 has them reported.
 */
export interface Block {
  from: number
  end: number
}

export class Blocks {
  /** By recency. */
  list: Block[] = []

  /** Adds [from, end), joined with what it touches. */
  add(from: number, end: number): void {
    const joined = { from, end }
    const apart: Block[] = []
    for (const block of this.list) {
      if (block.end < from || block.from > end) {
        apart.push(block)
      } else {
        joined.from = Math.min(joined.from, block.from)
        joined.end = Math.max(joined.end, block.end)
      }
    }
    this.list = [joined, ...apart]
  }

  /** Is every byte of [from, end) in here? */
  holds(from: number, end: number): boolean {
    return this.list.some(block => block.from <= from && end <= block.end)
  }

  /** Everything up to `next` has arrived in order: how far does it go on without a gap? */
  advance(next: number): number {
    const reached = this.list.find(block => block.from <= next && block.end > next)
    const edge = reached === undefined ? next : reached.end
    this.list = this.list.filter(block => block.end > edge)
    return edge
  }
}
