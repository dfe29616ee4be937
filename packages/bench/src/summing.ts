/**
 * A device that sums every segment before it is sent: what a stack pays that does not know the sums
 * of its content (paper §2.1 has them ahead of time). What it finds is what is written there
 * already.
 */
import { ethernet } from '@sandstorm/libeth'
import { assert, DelegateDevice } from '@sandstorm/libnmio'
import { checksum, ipv4 } from '@sandstorm/libtcpip'

const TCP_OFF = ethernet.HEADER_LEN + ipv4.HEADER_LEN

export class Summing extends DelegateDevice {
  /** Of headers and payload. */
  bytesSummed = 0

  override push(off: number, len: number, request: number): void {
    const { view } = this.region
    if (ethernet.type(view, off) === ethernet.TYPE_IPV4) {
      const ip = off + ethernet.HEADER_LEN
      const tcpLen = len - TCP_OFF
      const pseudo = ipv4.pseudoSum(ipv4.src(view, ip), ipv4.dst(view, ip), ipv4.PROTO_TCP, tcpLen)
      const sum = checksum.fold(pseudo + checksum.sum(view, off + TCP_OFF, tcpLen))
      this.bytesSummed += tcpLen
      assert(sum === 0xffff, 'a segment that is sent has its checksum')
    }
    this.inner.push(off, len, request)
  }
}
