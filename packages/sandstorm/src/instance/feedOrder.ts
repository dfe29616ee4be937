/**
 * A packet thread's end of its feeds: what it calls (mount/feeds.ts), as messages to its FeedDesk.
 */
import type { Slice } from '../content/slices.ts'
import type { ForwardRequest } from '../front/forwardRequest.ts'
import type { FeedPort } from '../mount/feeds.ts'

/** A call of a FeedPort. */
export type FeedOrder =
  | {
      readonly kind: 'open'
      readonly slot: number
      readonly serial: number
      readonly image: number
      readonly slices: readonly Slice[]
    }
  | {
      readonly kind: 'forward'
      readonly slot: number
      readonly serial: number
      readonly request: ForwardRequest
    }
  | {
      readonly kind: 'body'
      readonly slot: number
      readonly serial: number
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: 'bodyEnd' | 'cut' | 'close' | 'more' | 'drop'
      readonly slot: number
      readonly serial: number
    }

/** Makes an order of each call. */
export const feedPort = (order: (one: FeedOrder) => void): FeedPort => ({
  open: (slot, serial, image, slices) => order({ kind: 'open', slot, serial, image, slices }),
  forward: (slot, serial, request) => order({ kind: 'forward', slot, serial, request }),
  body: (slot, serial, bytes) => order({ kind: 'body', slot, serial, bytes }),
  bodyEnd: (slot, serial) => order({ kind: 'bodyEnd', slot, serial }),
  cut: (slot, serial) => order({ kind: 'cut', slot, serial }),
  close: (slot, serial) => order({ kind: 'close', slot, serial }),
  more: (slot, serial) => order({ kind: 'more', slot, serial }),
  drop: (slot, serial) => order({ kind: 'drop', slot, serial }),
})
