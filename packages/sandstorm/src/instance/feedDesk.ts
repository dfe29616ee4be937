/**
 * The main thread's end of a packet thread's feeds (mount/feeds.ts): fetches the pieces of answers
 * that are not in memory, from disk or from an origin, and sends them one at a time. A piece stays
 * where it is until the thread has asked for the next or wants no more, since by then it holds it.
 */
import type { LiveContent } from '../content/live.ts'
import type { Piece } from '../content/pager.ts'
import { sliceBytes } from '../content/slices.ts'
import type { Asked } from '../front/answerBytes.ts'
import type { FeedOrder } from './feedOrder.ts'
import { ForwardFeed } from './forwardFeed.ts'
import type { Mail } from './workerSetup.ts'

interface Feed {
  readonly serial: number
  readonly pieces: AsyncGenerator<Piece, void>
  /** The piece that was sent last. */
  sent: Piece | undefined
  /** Of a file: bytes that are still to be sent. */
  leftBytes: number
  /** Of an origin's answer. */
  readonly forward: ForwardFeed | undefined
}

/** The fronts, by site. */
export interface AskedFronts {
  of(site: number): Asked | undefined
}

export class FeedDesk {
  readonly #content: Pick<LiveContent, 'pieces' | 'lend'>
  readonly #fronts: AskedFronts | undefined
  readonly #send: (mail: Mail) => void
  /** By the thread's slot. */
  readonly #feeds = new Map<number, Feed>()

  /** `fronts`: of the content's sites; undefined: none has an origin. */
  constructor(
    content: Pick<LiveContent, 'pieces' | 'lend'>,
    fronts: AskedFronts | undefined,
    send: (mail: Mail) => void,
  ) {
    this.#content = content
    this.#fronts = fronts
    this.#send = send
  }

  /** What a packet thread says of a feed; in the order in which it says it. */
  take(order: FeedOrder): void {
    const { slot, serial } = order
    if (order.kind === 'open') {
      const { image, slices } = order
      const pieces = this.#content.pieces(image, slices)
      this.#begin(slot, { serial, pieces, leftBytes: sliceBytes(slices), forward: undefined })
      return
    }
    if (order.kind === 'forward') {
      const { request } = order
      const front = this.#fronts!.of(request.site)!
      const onTaken = (bytes: number): void =>
        this.#send({ kind: 'bodyTaken', slot, serial, bytes })
      const forward = new ForwardFeed(front, request, this.#content.lend, onTaken)
      const { pieces } = forward
      const leftBytes = Number.POSITIVE_INFINITY
      this.#begin(slot, { serial, pieces, leftBytes, forward })
      return
    }
    const feed = this.#feeds.get(slot)
    if (feed?.serial !== serial) return
    switch (order.kind) {
      case 'body':
        feed.forward?.put(order.bytes)
        break
      case 'bodyEnd':
        feed.forward?.end()
        break
      case 'cut':
        feed.forward?.cut()
        break
      case 'close':
        feed.forward?.close()
        break
      case 'more':
        release(feed)
        void this.#next(slot, feed)
        break
      case 'drop':
        release(feed)
        this.#end(slot, feed)
    }
  }

  /** The thread is gone. */
  close(): void {
    for (const [slot, feed] of this.#feeds) {
      release(feed)
      this.#end(slot, feed)
    }
  }

  #begin(slot: number, rest: Omit<Feed, 'sent'>): void {
    const feed = { ...rest, sent: undefined }
    this.#feeds.set(slot, feed)
    void this.#next(slot, feed)
  }

  async #next(slot: number, feed: Feed): Promise<void> {
    const { serial, pieces, forward } = feed
    try {
      const next = await pieces.next()
      if (this.#feeds.get(slot) !== feed) {
        if (!next.done) next.value.release()
        return
      }
      if (next.done) {
        if (forward === undefined) throw new Error('more is asked for than there is')
        this.#send({ kind: 'fed', slot, serial, answered: forward.answered })
        return
      }
      const { image, from, end } = next.value
      feed.sent = next.value
      feed.leftBytes -= end - from
      const isLast = feed.leftBytes === 0
      const piece = { image, from, end, isLast, answered: forward?.answered }
      this.#send({ kind: 'piece', slot, serial, piece })
    } catch {
      if (this.#feeds.get(slot) !== feed) return
      this.#feeds.delete(slot)
      this.#send({ kind: 'feedFailed', slot, serial })
    }
  }

  #end(slot: number, { pieces, forward }: Feed): void {
    this.#feeds.delete(slot)
    forward?.cancel()
    void pieces.return(undefined).catch(() => {})
  }
}

/** The thread holds the piece that was sent last, or does not want it. */
function release(feed: Feed): void {
  feed.sent?.release()
  feed.sent = undefined
}
