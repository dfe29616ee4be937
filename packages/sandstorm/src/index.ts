/** The server as a library: load content, put a server on a device, poll it. */

export type { Content } from './content/content.ts'
export { type LoadOptions, loadContent } from './content/load.ts'
export { attachContent, type ContentShared } from './content/table.ts'
export { HttpMachine } from './http/machine.ts'
export { inlineMore } from './inlining.ts'
export { type KernelMount, type KernelMountOptions, mountOnKernel } from './mount/kernelMount.ts'
export { MOUNT_LIMITS, type MountLimits } from './mount/limits.ts'
export type { Ledger } from './packetize/ledger.ts'
export { Server, type ServerOptions, type TransmitKind } from './server.ts'
export { plainSite, type Rule, type Site } from './site/site.ts'
export { StartError } from './startError.ts'
export type { InUse, ServerStats } from './stats.ts'
