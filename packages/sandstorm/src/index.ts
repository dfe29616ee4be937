// The parts, for those who build something else from them (bench does).
export type { Content } from './content/content.ts'
export { type LoadOptions, loadContent } from './content/load.ts'
export { attachContent, type ContentShared } from './content/table.ts'
export { DEFAULT_LIMITS, type HttpLimits } from './http/limits.ts'
export { HttpMachine } from './http/machine.ts'
export type { Ledger } from './packetize/ledger.ts'
export { FRAMES_MIN, Server, type ServerOptions, type TransmitKind } from './server.ts'
export type { ServerStats } from './stats.ts'
