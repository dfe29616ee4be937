/**
 * The kernel's TUN/TAP driver (linux/if_tun.h, Documentation/networking/tuntap.rst): the ioctls
 * that make one file descriptor one end of an Ethernet cable whose other end is a network
 * interface.
 *
 * Numbers are those of asm-generic/ioctl.h; the structures are host-endian except virtio_net_hdr,
 * which is told to be little-endian.
 */
import { EACCES, ENODEV, ENOENT, EPERM, SysError } from './errno.ts'
import { IFR_VALUE, IFREQ_LEN } from './ifreq.ts'
import { check, cString, libc, O_CLOEXEC, O_NONBLOCK, O_RDWR } from './libc.ts'

/** linux/if_tun.h: flags of TUNSETIFF. */
export const IFF_TAP = 0x0002
export const IFF_MULTI_QUEUE = 0x0100
export const IFF_NO_PI = 0x1000
export const IFF_VNET_HDR = 0x4000
export const IFF_TUN_EXCL = 0x8000

/** linux/if_tun.h: what TUNSETOFFLOAD lets the kernel leave to us. */
export const TUN_F_CSUM = 0x01
export const TUN_F_TSO4 = 0x02
export const TUN_F_TSO6 = 0x04
export const TUN_F_TSO_ECN = 0x08

/** asm-generic/ioctl.h: _IOW(type, nr, int). */
const iow = (type: string, nr: number): number =>
  0x40000000 | (4 << 16) | (type.charCodeAt(0) << 8) | nr

const TUNSETIFF = iow('T', 202)
const TUNSETOFFLOAD = iow('T', 208)
const TUNSETVNETHDRSZ = iow('T', 216)
const TUNSETVNETLE = iow('T', 220)
/** _IOR, as the header has it. */
const TUNSETSTEERINGEBPF = 0x800454e0

const int = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)

/** The file that every TAP begins with. */
export const TUN_PATH = '/dev/net/tun'

/** A descriptor of the driver, not yet of any interface; non-blocking. */
export function openDriver(): number {
  const c = libc()
  const fd = c.open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC)
  if (fd >= 0) return fd
  const errno = c.errno()
  throw driverError(errno)
}

/** Why the driver's file cannot be opened, and what to do. */
export function driverError(errno: number): SysError {
  return new SysError(`open ${TUN_PATH}`, errno, driverHint(errno))
}

function driverHint(errno: number): string {
  if (errno === ENOENT || errno === ENODEV) {
    return 'load the driver: sudo modprobe tun; a container must be given --device /dev/net/tun'
  }
  if (errno === EACCES || errno === EPERM) {
    return 'run with sudo, or let users open it (it checks rights by itself): sudo chmod 0666 /dev/net/tun'
  }
  return ''
}

/** Makes the descriptor the queue of interface `name`; what stands in the way is errno's to say. */
export function setInterface(fd: number, name: string, flags: number): void {
  const ifreq = cString(name, IFREQ_LEN)
  new DataView(ifreq.buffer).setUint16(IFR_VALUE, flags, true)
  check(libc().ioctl(fd, TUNSETIFF, ifreq), `TUNSETIFF ${name}`)
}

/** Every frame, both ways, begins with a little-endian virtio_net_hdr of `len` bytes. */
export function setVnetHeader(fd: number, len: number): void {
  check(libc().ioctl(fd, TUNSETVNETHDRSZ, int(len)), 'TUNSETVNETHDRSZ')
  check(libc().ioctl(fd, TUNSETVNETLE, int(1)), 'TUNSETVNETLE')
}

/** Which work the kernel may leave undone in frames for us; with 0 they come finished and small. */
export function setOffload(fd: number, features: number): void {
  check(libc().ioctlValue(fd, TUNSETOFFLOAD, features), 'TUNSETOFFLOAD')
}

/** The program says which of the interface's queues a packet goes to. */
export function setSteering(fd: number, program: number): void {
  check(libc().ioctl(fd, TUNSETSTEERINGEBPF, int(program)), 'TUNSETSTEERINGEBPF')
}
