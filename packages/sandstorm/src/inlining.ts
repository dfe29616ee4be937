/**
 * How much V8 inlines into a function that it compiles (docs/decisions.md, "V8 may inline more").
 *
 * An ACK goes through some eighty small functions, so that the code reads like the RFCs; V8's own
 * budget is a third of them, and four times as much takes 8 to 20 % of the time per response away.
 * What runs once at the start, over all files, is the other way round: it is hardly compiled when
 * it is over, on CPUs that could have read files.
 */
import { setFlagsFromString } from 'node:v8'

/** Bytes of bytecode. V8's own is 920. */
const MORE = 3680
const LESS = 150
let budget = 920

/** Widens the budget for everything that is compiled from now on, in the whole process. */
export function inlineMore(): void {
  budget = MORE
  setBudget(budget)
}

/** Narrows the budget, in the whole process, until `work` is done. */
export async function inlineLess<T>(work: () => Promise<T>): Promise<T> {
  setBudget(LESS)
  try {
    return await work()
  } finally {
    setBudget(budget)
  }
}

function setBudget(bytes: number): void {
  setFlagsFromString(`--max-inlined-bytecode-size-cumulative=${bytes}`)
}
