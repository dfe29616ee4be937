/**
 * Flags of `serve` that say something to our own stack alone. With `--device kernel` they are
 * refused; where `auto` falls back to the kernel's stack, the operator is told of them.
 */
import { UserError } from '../cli/errors.ts'
import type { ServeFlags } from '../config.ts'

/** The kernel's stack makes its own frames: these flags would do nothing there. */
export function stackFlagsOf(raw: ServeFlags): string[] {
  const flags: [string, unknown][] = [
    ['--host-address', raw.hostAddress],
    ['--gateway', raw.gateway],
    ['a second --address', raw.address?.[1]],
    ['--address6', raw.address6],
    ['--host-address6', raw.hostAddress6],
    ['--gateway6', raw.gateway6],
    ['--mtu', raw.mtu],
    ['--transmit', raw.transmit],
    ['--replicas', raw.replicas],
    ['--cc', raw.cc],
    ['--pacing', raw.pacing],
    ['--pcap', raw.pcap],
    ['--trace', raw.trace],
    ['--fault', raw.fault],
    ['--workers', raw.workers],
    ['--cpus', raw.cpus],
    ['--spin', raw.spin],
    ['--rx-batch', raw.rxBatch],
    ['--tx-delay', raw.txDelay],
    ['--busy-poll', raw.busyPoll],
    ['--memif-role', raw.memifRole],
    ['--memif-id', raw.memifId],
    ['--trust-address', raw.trustAddress],
    ['--bridge', raw.bridge],
    ['--vlan', raw.vlan],
  ]
  return flags.filter(([, value]) => value !== undefined).map(([flag]) => flag)
}

export function refuseStackFlag(flag: string): never {
  const why = 'works on our own stack, and --device kernel is not that'
  throw new UserError(flag, why, 'Leave it out, or use --device tap')
}
