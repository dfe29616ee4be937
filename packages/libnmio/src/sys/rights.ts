/** What is to be done where rights are missing (capabilities(7)), as commands. */

/**
 * For AF_PACKET and AF_XDP: set-up, sockets, programs; programs that compute with packet addresses; a
 * port below 1024 of a shared address; packet memory that is pinned. The first three do for AF_PACKET
 * with an address of its own.
 */
const NIC_RIGHTS = 'cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_net_bind_service,cap_ipc_lock'

/** `sudo setcap … /usr/bin/node`: gives a program rights whoever runs it. */
export const setcap = (rights: string): string => `sudo setcap ${rights}+ep ${process.execPath}`

export const NIC_RIGHTS_HINT: string = `run with sudo, or give this Node the rights: ${setcap(NIC_RIGHTS)}`
