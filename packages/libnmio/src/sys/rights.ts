/** What is to be done where rights are missing (capabilities(7)), as commands. */

/** linux/capability.h: the bits of those that devices need. */
const BITS: Readonly<Record<string, bigint>> = {
  cap_net_admin: 12n, // set-up
  cap_net_raw: 13n, // AF_PACKET and AF_XDP sockets
  cap_bpf: 39n, // programs
  cap_net_bind_service: 10n, // a port below 1024 of a shared address
  cap_perfmon: 38n, // programs that compute with packet addresses
  cap_ipc_lock: 14n, // packet memory that is pinned
}
const PACKET_RIGHTS = ['cap_net_admin', 'cap_net_raw', 'cap_bpf', 'cap_net_bind_service']

/** What a device on an interface takes, to serve a shared address at port 80. */
export const RIGHTS: Readonly<Record<'packet' | 'xdp', readonly string[]>> = {
  packet: PACKET_RIGHTS,
  xdp: [...PACKET_RIGHTS, 'cap_perfmon', 'cap_ipc_lock'],
}

/** Which of `rights` a process lacks whose /proc/PID/status is `status` (proc(5): CapEff). */
export function missingRights(rights: readonly string[], status: string): string[] {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'
  const mask = BigInt(`0x${hex}`)
  return rights.filter(right => ((mask >> BITS[right]) & 1n) === 0n)
}

/** `sudo setcap … /usr/bin/node`: gives a program rights whoever runs it. */
export const setcap = (rights: string): string => `sudo setcap ${rights}+ep ${process.execPath}`

export const NIC_RIGHTS_HINT: string = `run with sudo, or give this Node the rights: ${setcap(RIGHTS.xdp.join(','))}`
