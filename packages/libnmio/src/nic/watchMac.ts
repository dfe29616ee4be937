/**
 * Looks whether an interface still has the hardware address that its device was opened with. The
 * device goes on with the old one, as do the frames that are made already, while the kernel tells
 * neighbours the new one: soon nothing that comes is for us.
 */
import type { DeviceHandle } from '../devices.ts'
import { interfaceMac } from '../sys/interface.ts'

const LOOK_MS = 1000

/**
 * Calls `onOther` once, with a line that says so, when it has another. Returns what ends the
 * looking, which keeps no process alive; devices that have no interface are not looked at.
 */
export function watchMac(handle: DeviceHandle, onOther: (line: string) => void): () => void {
  if (handle.kind !== 'packet' && handle.kind !== 'xdp') return () => {}
  const { kind, name, ifindex, mac } = handle
  const timer = setInterval(() => {
    const now = interfaceMac(ifindex)
    if (now === undefined || now.every((byte, i) => byte === mac[i])) return
    clearInterval(timer)
    onOther(`${kind}:${name} has another hardware address now, which only a new start brings`)
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}
