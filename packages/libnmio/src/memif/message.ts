/**
 * The messages of memif's control channel (memif.h of libmemif and DPDK, version 2.0): 128 bytes
 * each, a type and a packed structure behind it, little-endian. A region's memory and a ring's
 * eventfd come with their message as descriptors (SCM_RIGHTS, sys/unix.ts).
 *
 *   server                          client
 *   HELLO                     →
 *                             ←     INIT
 *   ACK                       →
 *                             ←     ADD_REGION, ADD_RING …, each answered by an ACK
 *                             ←     CONNECT
 *   CONNECTED                 →
 *
 * Either side may say DISCONNECT, and why, at any time. Pure: `decode` never throws.
 */

export const MESSAGE_LEN = 128
/** Major and minor, a byte each. */
export const VERSION = 0x0200
/** INIT: frames with an Ethernet header. */
export const MODE_ETHERNET = 0
/** ADD_RING: the client sends on this ring (`s2m`, in words of old); else the server does. */
export const RING_FLAG_S2M = 1

/** Texts are kept in so many bytes, the last of which is zero. */
export const NAME_LEN = 32
export const SECRET_LEN = 24
const REASON_LEN = 96

export interface Hello {
  readonly type: 'hello'
  readonly name: string
  readonly minVersion: number
  readonly maxVersion: number
  /** The largest index of a region, and of a ring in each direction. */
  readonly maxRegion: number
  readonly maxM2sRing: number
  readonly maxS2mRing: number
  readonly maxLog2RingSize: number
}

export interface Init {
  readonly type: 'init'
  readonly version: number
  readonly id: number
  readonly mode: number
  readonly secret: string
  readonly name: string
}

export interface AddRegion {
  readonly type: 'addRegion'
  readonly index: number
  /** Bytes; beyond 2^53 a number is not exact, and such a region is too large anyhow. */
  readonly size: number
}

export interface AddRing {
  readonly type: 'addRing'
  readonly flags: number
  readonly index: number
  /** Where the ring lies. */
  readonly region: number
  readonly offset: number
  readonly log2RingSize: number
  readonly privateHdrSize: number
}

export type Message =
  | { readonly type: 'ack' }
  | Hello
  | Init
  | AddRegion
  | AddRing
  | { readonly type: 'connect'; readonly ifName: string }
  | { readonly type: 'connected'; readonly ifName: string }
  | { readonly type: 'disconnect'; readonly code: number; readonly reason: string }

const ACK = 1
const HELLO = 2
const INIT = 3
const ADD_REGION = 4
const ADD_RING = 5
const CONNECT = 6
const CONNECTED = 7
const DISCONNECT = 8

/** The body begins behind the u16 type, without padding. */
const BODY = 2

/** The 128 bytes of a message. What a text has too much is cut off. */
export function encode(message: Message): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_LEN)
  const view = new DataView(bytes.buffer)
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true)
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true)
  switch (message.type) {
    case 'ack':
      u16(0, ACK)
      break
    case 'hello':
      u16(0, HELLO)
      putText(bytes, BODY, NAME_LEN, message.name)
      u16(BODY + 32, message.minVersion)
      u16(BODY + 34, message.maxVersion)
      u16(BODY + 36, message.maxRegion)
      u16(BODY + 38, message.maxM2sRing)
      u16(BODY + 40, message.maxS2mRing)
      bytes[BODY + 42] = message.maxLog2RingSize
      break
    case 'init':
      u16(0, INIT)
      u16(BODY, message.version)
      u32(BODY + 2, message.id)
      bytes[BODY + 6] = message.mode
      putText(bytes, BODY + 7, SECRET_LEN, message.secret)
      putText(bytes, BODY + 31, NAME_LEN, message.name)
      break
    case 'addRegion':
      u16(0, ADD_REGION)
      u16(BODY, message.index)
      view.setBigUint64(BODY + 2, BigInt(message.size), true)
      break
    case 'addRing':
      u16(0, ADD_RING)
      u16(BODY, message.flags)
      u16(BODY + 2, message.index)
      u16(BODY + 4, message.region)
      u32(BODY + 6, message.offset)
      bytes[BODY + 10] = message.log2RingSize
      u16(BODY + 11, message.privateHdrSize)
      break
    case 'connect':
    case 'connected':
      u16(0, message.type === 'connect' ? CONNECT : CONNECTED)
      putText(bytes, BODY, NAME_LEN, message.ifName)
      break
    case 'disconnect':
      u16(0, DISCONNECT)
      u32(BODY, message.code)
      putText(bytes, BODY + 4, REASON_LEN, message.reason)
  }
  return bytes
}

/** What the bytes say; undefined if that is no message of memif's. */
export function decode(bytes: Uint8Array): Message | undefined {
  if (bytes.length !== MESSAGE_LEN) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const u16 = (at: number): number => view.getUint16(at, true)
  const u32 = (at: number): number => view.getUint32(at, true)
  switch (u16(0)) {
    case ACK:
      return { type: 'ack' }
    case HELLO:
      return {
        type: 'hello',
        name: textOf(bytes, BODY, NAME_LEN),
        minVersion: u16(BODY + 32),
        maxVersion: u16(BODY + 34),
        maxRegion: u16(BODY + 36),
        maxM2sRing: u16(BODY + 38),
        maxS2mRing: u16(BODY + 40),
        maxLog2RingSize: bytes[BODY + 42],
      }
    case INIT:
      return {
        type: 'init',
        version: u16(BODY),
        id: u32(BODY + 2),
        mode: bytes[BODY + 6],
        secret: textOf(bytes, BODY + 7, SECRET_LEN),
        name: textOf(bytes, BODY + 31, NAME_LEN),
      }
    case ADD_REGION:
      return {
        type: 'addRegion',
        index: u16(BODY),
        size: Number(view.getBigUint64(BODY + 2, true)),
      }
    case ADD_RING:
      return {
        type: 'addRing',
        flags: u16(BODY),
        index: u16(BODY + 2),
        region: u16(BODY + 4),
        offset: u32(BODY + 6),
        log2RingSize: bytes[BODY + 10],
        privateHdrSize: u16(BODY + 11),
      }
    case CONNECT:
      return { type: 'connect', ifName: textOf(bytes, BODY, NAME_LEN) }
    case CONNECTED:
      return { type: 'connected', ifName: textOf(bytes, BODY, NAME_LEN) }
    case DISCONNECT:
      return {
        type: 'disconnect',
        code: u32(BODY),
        reason: textOf(bytes, BODY + 4, REASON_LEN),
      }
    default:
      return undefined
  }
}

/** A byte for each character: texts are ASCII, and what else comes is told apart all the same. */
function putText(bytes: Uint8Array, at: number, size: number, text: string): void {
  for (let i = 0; i < text.length && i < size - 1; i++) bytes[at + i] = text.charCodeAt(i)
}

/** Up to the zero; a text that fills its field has none. */
function textOf(bytes: Uint8Array, at: number, size: number): string {
  let text = ''
  for (let i = 0; i < size && bytes[at + i] !== 0; i++) text += String.fromCharCode(bytes[at + i])
  return text
}
