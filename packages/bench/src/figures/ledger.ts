/**
 * What was done for each response: the paper's claim that no work is repeated, counted (paper §2).
 */
import type { MemoryRun } from '../memoryRun.ts'
import { bars, type Figure, type Panel, some } from './figure.ts'
import { LINK_OBJECTS, onLinks, VARIANTS } from './links.ts'
import { seriesOf } from './turns.ts'

export const ledger: Figure = {
  name: 'ledger',
  title: 'The ledger: what is done for a response',
  caption: `Bytes of payload that the stack copied and summed for each response, frames in and out, and the
time in the server, on a memory link with an MTU of 1500; 64 connections kept alive. Counted, not derived:
with ready packets no byte of payload is touched after the first client.`,
  tools: [],
  measure: async effort => {
    const runs = await onLinks(Object.keys(VARIANTS), some(LINK_OBJECTS, effort), effort)
    const panel = (title: string, label: string, value: (run: MemoryRun) => number): Panel =>
      bars(title, 'object', label, seriesOf(runs, value))
    return [
      panel('Copied', 'payload bytes copied per response', run => run.payloadBytesCopied),
      panel('Summed', 'payload bytes summed per response', run => run.payloadBytesSummed),
      panel('Frames', 'frames in and out per response', run => run.framesIn + run.framesOut),
      panel('Time', 'µs in the server per response', run => run.serverUs),
    ]
  },
}
