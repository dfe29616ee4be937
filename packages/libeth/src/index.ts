export * as arpPacket from './arpPacket.ts'
export * from './drops.ts'
export * as ethernet from './ethernet.ts'
