// The parts, in the order of dependence.

export { attend, drive, findWay } from './drive.ts'
// The generator, and our own TCP below it.
export { Generator, type GeneratorOptions } from './generator.ts'
export { Histogram, type HistogramData, type Summary } from './histogram.ts'
export { SAMPLE } from './limits.ts'
export { Responses } from './response.ts'
export { Schedule, type SchedulePlan } from './schedule.ts'
export { ERROR_NAMES, Tally, type TallyData } from './tally.ts'
export { TcpTransport, type TcpTransportOptions, tcpConfig } from './tcpTransport.ts'
export type { Transport, TransportListener } from './transport.ts'
