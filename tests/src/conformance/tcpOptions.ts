/** TCP options of a script as bytes to send, and read from what came. */
import type { Flow } from './flow.ts'
import { u32 } from './frames.ts'
import type { TcpOption } from './seen.ts'
import type { Segment } from './segment.ts'

const pad4 = (...bytes: number[]): number[] => [...new Array(-bytes.length & 3).fill(1), ...bytes]
export const mss = (bytes: number): number[] => [2, 4, bytes >> 8, bytes & 255]
export const wscale = (shift: number): number[] => pad4(3, 3, shift)
export const sackOk: readonly number[] = pad4(4, 2)
export const timestamps = (value: number, echo: number): number[] =>
  pad4(8, 10, ...u32(value), ...u32(echo))

/** The value of an option, or undefined. */
export function option(segment: Segment, kind: number): Uint8Array | undefined {
  return segment.options.find((found: TcpOption) => found.kind === kind)?.data
}

const number = (bytes: Uint8Array): number => [...bytes].reduce((n, byte) => n * 256 + byte, 0)
export const mssOf = (segment: Segment): number | undefined => numberOf(segment, 2)
export const wscaleOf = (segment: Segment): number | undefined => numberOf(segment, 3)
const numberOf = (segment: Segment, kind: number): number | undefined => {
  const data = option(segment, kind)
  return data === undefined ? undefined : number(data)
}
export const hasSackOk = (segment: Segment): boolean => option(segment, 4) !== undefined

/** TSval and TSecr. */
export function timestampsOf(segment: Segment): readonly [number, number] | undefined {
  const data = option(segment, 8)
  return data === undefined ? undefined : [number(data.subarray(0, 4)), number(data.subarray(4, 8))]
}

/** SACK blocks, relative to the probe's ISN. */
export function sackOf(flow: Flow, segment: Segment): [number, number][] {
  const data = option(segment, 5) ?? new Uint8Array(0)
  const blocks: [number, number][] = []
  for (let at = 0; at + 8 <= data.length; at += 8) {
    const edge = (from: number): number => (number(data.subarray(from, from + 4)) - flow.isn) | 0
    blocks.push([edge(at), edge(at + 4)])
  }
  return blocks
}

/** A SACK option with blocks of the target's stream. */
export function sack(flow: Flow, ...blocks: [number, number][]): number[] {
  const base = flow.theirIsn ?? 0
  const edges = blocks.flatMap(([from, to]) => [...u32(base + from), ...u32(base + to)])
  return pad4(5, 2 + edges.length, ...edges)
}
