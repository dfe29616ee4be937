/**
 * The lives of a crowd: what a client does with its connection. Each kind has a goal (`reach`), so
 * that a run can tell whether it did what it is named after: the server was in that state, or the
 * answer came whole, or the server ended what the client would not.
 *
 * Every kind's connections end, whatever the client does: that is what the run is about.
 */
import { seq, state, tcp } from '@sandstorm/libtcpip'
import { requestFor } from '../../src/objects.ts'
import { type Crowd, SACK, TIMESTAMPS } from './crowd.ts'

export interface Kind {
  readonly name: string
  /** Of eight draws of this kind only one counts: its connections hold what is scarce. */
  readonly isRare?: boolean
  /** Before the SYN: options, window. */
  prepare?(crowd: Crowd, i: number): void
  /** The SYN-ACK came. Default: the handshake is completed, then `onOpen`. */
  onSynAck?(crowd: Crowd, i: number): void
  onOpen?(crowd: Crowd, i: number): void
  /** False: this client does not take the next bytes, or anything with them. */
  takes?(crowd: Crowd, i: number, bytes: number): boolean
  /** Bytes came in order, without a FIN behind them. */
  onData(crowd: Crowd, i: number): void
  /** Bytes came out of order or once more. */
  onRepeat?(crowd: Crowd, i: number, seq: number, bytes: number): void
  /** All bytes and the server's FIN came; only `takeFin` makes the next ACK say so. */
  onFin(crowd: Crowd, i: number): void
  onTimer?(crowd: Crowd, i: number): void
  /** The server has reset the connection; afterwards the life is over. */
  onReset?(crowd: Crowd, i: number): void
}

/** The objects that are asked for. */
export const OBJECTS: Readonly<Record<string, number>> = { small: 1, large: 22_528 }

const { FIN, RST, SYN } = tcp
const SMALL_CLOSE = requestFor('small', 'close')
const SMALL_KEEP = requestFor('small', 'keep-alive')
const LARGE_CLOSE = requestFor('large', 'close')
const LARGE_KEEP = requestFor('large', 'keep-alive')
/** More than the server answers at once: the rest waits in a buffer. */
const ONE_BUFFERFUL = 12
const MANY_LARGE = Uint8Array.from(
  Array.from({ length: ONE_BUFFERFUL }, () => [...LARGE_KEEP]).flat(),
)
const SEVERAL = Uint8Array.from([...SMALL_KEEP, ...LARGE_KEEP, ...SMALL_KEEP, ...SMALL_CLOSE])
const HALF_A_HEAD = SMALL_CLOSE.subarray(0, 20)
const GARBAGE = Uint8Array.from(
  { length: 300 },
  (_, n) => (Math.imul(n + 7, 2654435761) >>> 24) & 255,
)
const FLOOD = new Uint8Array(1400).fill(0x61)
const FLOODS = 30
const PROBE_MS = 1900
/** Milliseconds until what was sent has arrived and was answered. */
const SOON_MS = 4

const ignore = (): void => {}

/** Takes everything, acknowledges it, and ends its half when the server does. */
const POLITE = {
  onData: (crowd: Crowd, i: number) => crowd.sendAck(i),
  onFin: farewell,
}

/** Takes nothing and says nothing. */
const DEAF = { takes: () => false, onData: ignore, onFin: ignore }

function farewell(crowd: Crowd, i: number): void {
  crowd.takeFin(i)
  crowd.sendFin(i)
  crowd.reach(i)
  crowd.end(i)
}

/** Notes whether the server is in `wanted`, resets the connection and is gone. */
function resetIn(crowd: Crowd, i: number, wanted: number): void {
  if (crowd.isServerIn(i, wanted)) crowd.reach(i)
  crowd.sendReset(i)
  crowd.end(i)
}

/** Notes whether the server is in `wanted`, and is never heard of again. */
function vanishIn(crowd: Crowd, i: number, wanted: number): void {
  if (crowd.isServerIn(i, wanted)) crowd.reach(i)
  crowd.end(i)
}

/** The server is in SYN-RECEIVED, or knows nothing when the SYN-ACK has a cookie. */
const halfOpen = (crowd: Crowd, i: number): number =>
  crowd.isServerIn(i, state.CLOSED) ? state.CLOSED : state.SYN_RCVD

/** Small and large objects take turns. */
const ask = (crowd: Crowd, i: number): void =>
  crowd.say(i, crowd.life[i] & 1 ? SMALL_CLOSE : LARGE_CLOSE)

const soon = (crowd: Crowd, i: number): void => crowd.wait(i, SOON_MS)

/** Ends its half, without saying that the server's FIN came. */
function finBesideFin(crowd: Crowd, i: number): void {
  crowd.sendFin(i)
  soon(crowd, i)
}

/** Acknowledges the server's FIN, and keeps its own half open. */
function ackFin(crowd: Crowd, i: number): void {
  crowd.takeFin(i)
  crowd.sendAck(i)
  soon(crowd, i)
}

const WELL_BEHAVED: readonly Kind[] = [
  { name: 'one request, closed by the server', ...POLITE, onOpen: ask },
  {
    name: 'three requests, closed by the client',
    onOpen: (crowd, i) => crowd.say(i, SMALL_KEEP),
    onData(crowd, i) {
      if (++crowd.count[i] < 3) crowd.say(i, SMALL_KEEP)
      else if (crowd.count[i] === 3) crowd.sendFin(i)
    },
    onFin(crowd, i) {
      crowd.takeFin(i)
      crowd.sendAck(i)
      crowd.reach(i)
      crowd.end(i)
    },
  },
  { name: 'pipelined requests', ...POLITE, onOpen: (crowd, i) => crowd.say(i, SEVERAL) },
  {
    name: 'idle until the server closes',
    ...POLITE,
    onOpen: (crowd, i) => crowd.say(i, SMALL_KEEP),
  },
  { name: 'request and FIN in one segment', ...POLITE, onOpen: halfClosed, onFin: lastAck },
  { name: 'FIN first', ...POLITE, onOpen: (crowd, i) => crowd.sendFin(i), onFin: lastAck },
  {
    name: 'both FINs cross',
    ...POLITE,
    onOpen: ask,
    onFin: finBesideFin,
    onTimer(crowd, i) {
      if (crowd.isServerIn(i, state.CLOSING)) crowd.reach(i)
      crowd.takeFin(i)
      crowd.sendAck(i)
      crowd.end(i)
    },
  },
  {
    name: 'the port used again in TIME-WAIT',
    ...POLITE,
    onOpen: (crowd, i) => crowd.say(i, SMALL_CLOSE),
    onFin(crowd, i) {
      crowd.takeFin(i)
      crowd.sendFin(i)
      if (crowd.life[i] < 0) {
        crowd.reach(i)
        crowd.end(i)
        return
      }
      crowd.life[i] = -1
      soon(crowd, i)
    },
    onTimer(crowd, i) {
      crowd.leave(i)
      crowd.open(i, (crowd.seq[i] + 100_000) | 0)
    },
  },
  {
    name: 'many SYNs, and one inside',
    ...POLITE,
    onSynAck(crowd, i) {
      for (let n = 0; n < 4; n++) crowd.sendSyn(i, crowd.iss[i])
      soon(crowd, i)
    },
    onTimer(crowd, i) {
      if (crowd.count[i]++ === 0) {
        crowd.sendAck(i)
        crowd.sendSyn(i, (crowd.iss[i] + 5000) | 0)
        soon(crowd, i)
      } else {
        ask(crowd, i)
      }
    },
  },
]

const ABORTED: readonly Kind[] = [
  {
    name: 'RST in SYN-RECEIVED',
    ...DEAF,
    onSynAck: (crowd, i) => resetIn(crowd, i, halfOpen(crowd, i)),
  },
  {
    name: 'RST in ESTABLISHED, amid the answer',
    ...DEAF,
    onOpen: (crowd, i) => crowd.say(i, LARGE_KEEP),
    takes(crowd, i) {
      if (++crowd.count[i] === 3) resetIn(crowd, i, state.ESTABLISHED)
      return false
    },
    // Segments of the answer behind the first, which was not taken
    onRepeat(crowd, i) {
      if (++crowd.count[i] === 3) resetIn(crowd, i, state.ESTABLISHED)
    },
  },
  {
    name: 'RST in FIN-WAIT-1',
    ...DEAF,
    onOpen: ask,
    takes(crowd, i) {
      resetIn(crowd, i, state.FIN_WAIT_1)
      return false
    },
  },
  {
    name: 'RST in FIN-WAIT-2',
    ...POLITE,
    onOpen: ask,
    onFin: ackFin,
    onTimer: (crowd, i) => resetIn(crowd, i, state.FIN_WAIT_2),
  },
  {
    name: 'RST in CLOSING',
    ...POLITE,
    onOpen: ask,
    onFin: finBesideFin,
    onTimer: (crowd, i) => resetIn(crowd, i, state.CLOSING),
  },
  {
    name: 'RST in CLOSE-WAIT',
    ...DEAF,
    onOpen(crowd, i) {
      crowd.say(i, MANY_LARGE, FIN)
      soon(crowd, i)
    },
    onTimer: (crowd, i) => resetIn(crowd, i, state.CLOSE_WAIT),
  },
  {
    name: 'RST in LAST-ACK',
    ...POLITE,
    onOpen: (crowd, i) => crowd.sendFin(i),
    onFin: soon,
    onTimer: (crowd, i) => resetIn(crowd, i, state.LAST_ACK),
  },
]

const SILENT: readonly Kind[] = [
  {
    name: 'silent after the SYN',
    ...DEAF,
    onSynAck: (crowd, i) => vanishIn(crowd, i, halfOpen(crowd, i)),
  },
  {
    name: 'silent after the handshake',
    ...DEAF,
    onOpen: soon,
    onTimer: (crowd, i) => vanishIn(crowd, i, state.ESTABLISHED),
  },
  {
    name: 'silent amid the answer',
    ...POLITE,
    onOpen: (crowd, i) => crowd.say(i, LARGE_KEEP),
    onData: (crowd, i) => vanishIn(crowd, i, state.ESTABLISHED),
  },
  { name: 'silent in FIN-WAIT-1', ...DEAF, onOpen: ask, takes: vanishInFinWait1 },
  {
    name: 'silent in FIN-WAIT-2',
    ...POLITE,
    onOpen: ask,
    onFin: ackFin,
    onTimer: (crowd, i) => vanishIn(crowd, i, state.FIN_WAIT_2),
  },
  {
    name: 'silent in CLOSING',
    ...POLITE,
    onOpen: ask,
    onFin: finBesideFin,
    onTimer: (crowd, i) => vanishIn(crowd, i, state.CLOSING),
  },
  {
    name: 'silent in CLOSE-WAIT',
    isRare: true, // holds a request buffer until the answer is given up
    ...DEAF,
    onOpen(crowd, i) {
      crowd.say(i, MANY_LARGE, FIN)
      soon(crowd, i)
    },
    onTimer: (crowd, i) => vanishIn(crowd, i, state.CLOSE_WAIT),
  },
  {
    name: 'silent in LAST-ACK',
    ...POLITE,
    onOpen: (crowd, i) => crowd.sendFin(i),
    onFin: (crowd, i) => vanishIn(crowd, i, state.LAST_ACK),
  },
]

const HOSTILE: readonly Kind[] = [
  {
    name: 'window shut for ever',
    ...DEAF,
    onOpen(crowd, i) {
      crowd.window[i] = 0
      ask(crowd, i)
    },
    takes(crowd, i) {
      crowd.sendAck(i) // the answer to a probe
      return false
    },
    onReset: (crowd, i) => crowd.reach(i),
  },
  {
    name: 'window of four bytes',
    ...POLITE,
    prepare(crowd, i) {
      crowd.window[i] = 4
    },
    onOpen: (crowd, i) => crowd.say(i, SMALL_CLOSE),
  },
  {
    name: 'every other byte first',
    ...POLITE,
    onOpen: everyOtherByte,
    onTimer: (crowd, i) => crowd.say(i, SMALL_CLOSE),
  },
  {
    name: 'every other byte, never the rest',
    ...DEAF,
    onOpen: everyOtherByte,
    onTimer(crowd, i) {
      if (crowd.life[i] & 1) vanishIn(crowd, i, state.ESTABLISHED)
      else resetIn(crowd, i, state.ESTABLISHED)
    },
  },
  sackHoles('a SACK for every other segment of 48 bytes, then all', (crowd, i) => {
    crowd.count[i] = ALL_TAKEN
    crowd.ack[i] = crowd.mark[i]
    crowd.sendAck(i)
  }),
  sackHoles('a SACK for every other segment, then RST', (crowd, i) =>
    resetIn(crowd, i, state.FIN_WAIT_1),
  ),
  {
    ...sackHoles('a SACK for every other segment, then silence', (crowd, i) =>
      vanishIn(crowd, i, state.FIN_WAIT_1),
    ),
    isRare: true, // holds a hundred send records until the answer is given up
  },
  {
    name: 'half a head',
    ...POLITE,
    onOpen: (crowd, i) => crowd.say(i, HALF_A_HEAD),
  },
  { name: 'no HTTP at all', ...POLITE, onOpen: (crowd, i) => crowd.say(i, GARBAGE) },
  {
    name: 'any flags and numbers, then silence',
    ...DEAF,
    onOpen: anything,
    onTimer(crowd, i) {
      crowd.reach(i)
      crowd.end(i)
    },
  },
  {
    name: 'goes on sending after the end',
    ...POLITE,
    onOpen: ask,
    onFin: ackFin,
    // Far more than is taken; then now and then, until the server has forgotten the connection.
    onTimer(crowd, i) {
      crowd.say(i, FLOOD)
      crowd.wait(i, crowd.count[i]++ < FLOODS ? 1 : PROBE_MS)
    },
    onReset: (crowd, i) => crowd.reach(i),
  },
]

export const KINDS: readonly Kind[] = [...WELL_BEHAVED, ...ABORTED, ...SILENT, ...HOSTILE]

/** Lives that fill a server's tables and are not heard of again; each takes something else. */
export const HOARDERS: readonly Kind[] = [
  hoarder('flights', (crowd, i) => crowd.say(i, LARGE_CLOSE)),
  hoarder('request buffers', (crowd, i) => crowd.say(i, HALF_A_HEAD)),
  hoarder('answers', (crowd, i) => crowd.say(i, MANY_LARGE, FIN)),
  hoarder('frames, with pieces out of order', everyOtherByte),
]

function hoarder(name: string, take: (crowd: Crowd, i: number) => void): Kind {
  return {
    name,
    ...DEAF,
    onOpen(crowd, i) {
      take(crowd, i)
      crowd.end(i)
    },
  }
}

function halfClosed(crowd: Crowd, i: number): void {
  crowd.say(i, crowd.life[i] & 1 ? SMALL_KEEP : LARGE_KEEP, FIN)
}

function lastAck(crowd: Crowd, i: number): void {
  crowd.takeFin(i)
  crowd.sendAck(i)
  crowd.reach(i)
  crowd.end(i)
}

function vanishInFinWait1(crowd: Crowd, i: number): boolean {
  vanishIn(crowd, i, state.FIN_WAIT_1)
  return false
}

/** The request in single bytes from its end, leaving out every second. */
function everyOtherByte(crowd: Crowd, i: number): void {
  for (let at = SMALL_CLOSE.length - 1; at > 0; at -= 2) {
    crowd.sayAt(i, (crowd.seq[i] + at) | 0, SMALL_CLOSE, at, 1)
  }
  soon(crowd, i)
}

/** Segments near the connection's numbers, with any flags; it may survive them. */
function anything(crowd: Crowd, i: number): void {
  const { random } = crowd
  for (let n = 0; n < 16; n++) {
    const flags = random.below(256) & ~(n < 8 ? RST | SYN : 0)
    const at = (crowd.seq[i] + random.below(64) - 32) | 0
    const ack = (crowd.ack[i] + random.below(64) - 32) | 0
    crowd.sendAnything(i, flags, at, ack, random.below(40))
  }
  soon(crowd, i)
}

/** Segments until the congestion window is large, then until the client has seen enough. */
const GROWN = 150
const ENOUGH = 250
const ALL_TAKEN = -1
const edges = new Int32Array(6)

/**
 * A client that acknowledges as it should until the congestion window is large, then only every
 * other segment, of the least size, by SACK (RFC 2018 §4), until it has seen enough.
 */
function sackHoles(name: string, after: (crowd: Crowd, i: number) => void): Kind {
  const onSegment = (crowd: Crowd, i: number, at: number, bytes: number): void => {
    if (++crowd.count[i] > ENOUGH) {
      after(crowd, i)
      return
    }
    if (crowd.count[i] & 1) return
    const end = (at + bytes) | 0
    if (seq.gt(end, crowd.mark[i])) crowd.mark[i] = end
    for (let b = 0; b < 3; b++) {
      edges[2 * b] = (at - b * 2 * bytes) | 0
      edges[2 * b + 1] = (end - b * 2 * bytes) | 0
    }
    let blocks = 3
    while (blocks > 0 && !seq.gt(edges[2 * blocks - 2], crowd.ack[i])) blocks--
    if (blocks > 0) crowd.sendSack(i, edges, blocks)
    else crowd.sendAck(i)
  }
  return {
    name,
    prepare(crowd, i) {
      crowd.offers[i] = SACK | TIMESTAMPS
      crowd.mss[i] = 48
    },
    onOpen(crowd, i) {
      crowd.mark[i] = crowd.ack[i]
      crowd.say(i, LARGE_CLOSE)
    },
    takes(crowd, i, bytes) {
      if (crowd.count[i] === ALL_TAKEN || crowd.count[i]++ < GROWN) return true
      onSegment(crowd, i, crowd.ack[i], bytes)
      return false
    },
    onRepeat(crowd, i, at, bytes) {
      if (crowd.count[i] === ALL_TAKEN) crowd.sendAck(i)
      else onSegment(crowd, i, at, bytes)
    },
    onData: (crowd, i) => crowd.sendAck(i),
    onFin: farewell,
  }
}
