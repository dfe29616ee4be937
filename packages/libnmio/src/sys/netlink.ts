/**
 * Netlink, the kernel's message socket for network configuration (RFC 3549, netlink(7),
 * linux/netlink.h): a request is a header, a fixed part and attributes; the answer is an error
 * number or a list of the same kind. It sees the network namespace of the calling thread, which
 * neither /sys nor libuv's interface list promises.
 *
 * Set-up only: it allocates as it likes and waits for the kernel's answer.
 */
import { SysError } from './errno.ts'
import { check, libc } from './libc.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const NETLINK_ROUTE = 0
export const NETLINK_GENERIC = 16

/** linux/netlink.h: message types and flags. */
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_DUMP = 0x300

/** linux/netlink.h: struct nlmsghdr { u32 len; u16 type; u16 flags; u32 seq; u32 pid }. */
const NLMSGHDR_LEN = 16
/** linux/netlink.h: struct nlattr { u16 len; u16 type }, padded to four bytes. */
const NLATTR_LEN = 4
/** linux/netlink.h: NLA_F_NESTED and NLA_F_NET_BYTEORDER are not part of the type. */
const NLA_TYPE_MASK = 0x3fff
/** No answer is longer: the kernel fills at most 32 KiB at once. */
const ANSWER_MAX = 65536

const align4 = (n: number): number => (n + 3) & ~3

/** Attributes of a message by type; of several with one type, the last. */
export type Attributes = Map<number, Uint8Array>

/** One message of an answer: the fixed part begins at byte 0 of `body`. */
export interface Message {
  readonly type: number
  readonly body: Uint8Array
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Reads the attributes from byte `from` on (RFC 3549 §2.2). A broken one ends the list. */
export function attributes(bytes: Uint8Array, from: number): Attributes {
  const view = viewOf(bytes)
  const found: Attributes = new Map()
  for (let at = from; at + NLATTR_LEN <= bytes.length; ) {
    const len = view.getUint16(at, true)
    if (len < NLATTR_LEN || at + len > bytes.length) break
    found.set(
      view.getUint16(at + 2, true) & NLA_TYPE_MASK,
      bytes.subarray(at + NLATTR_LEN, at + len),
    )
    at += align4(len)
  }
  return found
}

/** A 32-bit attribute, or `otherwise` where it is missing. */
export function u32Of(attribute: Uint8Array | undefined, otherwise: number): number {
  return attribute === undefined ? otherwise : viewOf(attribute).getUint32(0, true)
}

/** A zero-terminated string attribute. */
export function stringOf(attribute: Uint8Array | undefined): string {
  return attribute === undefined ? '' : new TextDecoder().decode(attribute).replace(/\0.*$/s, '')
}

/** The bytes of a 32-bit attribute. */
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)

function encode(type: number, flags: number, fixed: Uint8Array, attrs: Attributes): Uint8Array {
  let len = NLMSGHDR_LEN + align4(fixed.length)
  for (const value of attrs.values()) len += NLATTR_LEN + align4(value.length)
  const bytes = new Uint8Array(len)
  const view = viewOf(bytes)
  view.setUint32(0, len, true)
  view.setUint16(4, type, true)
  view.setUint16(6, flags | NLM_F_REQUEST, true)
  bytes.set(fixed, NLMSGHDR_LEN)
  let at = NLMSGHDR_LEN + align4(fixed.length)
  for (const [attr, value] of attrs) {
    view.setUint16(at, NLATTR_LEN + value.length, true)
    view.setUint16(at + 2, attr, true)
    bytes.set(value, at + NLATTR_LEN)
    at += NLATTR_LEN + align4(value.length)
  }
  return bytes
}

/** Takes one datagram apart; true if the answer is complete. Throws the error it may hold. */
function takeAnswer(answer: Uint8Array, what: string, messages: Message[]): boolean {
  const view = viewOf(answer)
  for (let at = 0; at + NLMSGHDR_LEN <= answer.length; ) {
    const len = view.getUint32(at, true)
    const type = view.getUint16(at + 4, true)
    if (len < NLMSGHDR_LEN || at + len > answer.length) return true
    if (type === NLMSG_ERROR || type === NLMSG_DONE) {
      const error = view.getInt32(at + NLMSGHDR_LEN, true)
      if (error !== 0) throw new SysError(what, -error)
      return true
    }
    messages.push({ type, body: answer.slice(at + NLMSGHDR_LEN, at + len) })
    at += align4(len)
  }
  return false
}

/**
 * Sends a request and returns the messages of the answer, once it is complete. `flags` must hold
 * NLM_F_ACK or NLM_F_DUMP, else none would come. A refusal is thrown as SysError(`what`, errno).
 */
export function request(
  what: string,
  type: number,
  flags: number,
  fixed: Uint8Array,
  attrs: Attributes,
  protocol: number = NETLINK_ROUTE,
): Message[] {
  const c = libc()
  const fd = check(c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol), 'socket(AF_NETLINK)')
  try {
    const bytes = encode(type, flags, fixed, attrs)
    check(c.send(fd, bytes, bytes.length, 0), `${what}: send`)
    const messages: Message[] = []
    const answer = new Uint8Array(ANSWER_MAX)
    for (;;) {
      const len = check(c.recv(fd, answer, answer.length, 0), `${what}: recv`)
      if (takeAnswer(answer.subarray(0, len), what, messages)) return messages
    }
  } finally {
    c.close(fd)
  }
}
