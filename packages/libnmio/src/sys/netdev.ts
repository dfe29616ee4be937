/**
 * What interfaces can do with XDP, as the kernel lists it: generic netlink, family `netdev`
 * (Documentation/netlink/specs/netdev.yaml, linux/netdev.h; Linux 6.3). Needs no right.
 */
import {
  attributes,
  type Message,
  NETLINK_GENERIC,
  NLM_F_ACK,
  NLM_F_DUMP,
  request,
  u32Of,
  viewOf,
} from './netlink.ts'

/**
 * linux/genetlink.h: struct genlmsghdr { u8 cmd, version; u16 reserved }; the controller's own
 * family.
 */
const GENLMSGHDR_LEN = 4
const GENL_ID_CTRL = 16
const CTRL_CMD_GETFAMILY = 3
const CTRL_ATTR_FAMILY_ID = 1
const CTRL_ATTR_FAMILY_NAME = 2
const NETDEV_CMD_DEV_GET = 1
const NETDEV_A_DEV_IFINDEX = 1
const NETDEV_A_DEV_XDP_FEATURES = 3

/** linux/netdev.h: enum netdev_xdp_act. */
export const XDP_ACT_BASIC = 1
export const XDP_ACT_XSK_ZEROCOPY = 8

/** By interface index a set of XDP_ACT_ bits; undefined on a kernel that does not say. */
export function xdpFeatures(): Map<number, number> | undefined {
  try {
    const name = new TextEncoder().encode('netdev\0')
    const asked = new Map([[CTRL_ATTR_FAMILY_NAME, name]])
    const [family] = ask(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK, asked)
    const id = attributes(family.body, GENLMSGHDR_LEN).get(CTRL_ATTR_FAMILY_ID)
    if (id === undefined) return undefined
    const type = viewOf(id).getUint16(0, true)
    const features = new Map<number, number>()
    for (const { body } of ask(type, NETDEV_CMD_DEV_GET, NLM_F_DUMP, new Map())) {
      const of = attributes(body, GENLMSGHDR_LEN)
      // 64 bits, of which the low ones are in use.
      const bits = u32Of(of.get(NETDEV_A_DEV_XDP_FEATURES), 0)
      features.set(u32Of(of.get(NETDEV_A_DEV_IFINDEX), 0), bits)
    }
    return features
  } catch {
    return undefined
  }
}

const ask = (type: number, cmd: number, flags: number, attrs: Map<number, Uint8Array>): Message[] =>
  request('netdev', type, flags, Uint8Array.of(cmd, 1, 0, 0), attrs, NETLINK_GENERIC)
