/**
 * The loop of a packet thread that generates load: what is due, a batch of frames, and if there was none
 * a wait. Nothing else of the thread's runs meanwhile. Of several threads on one device the first finds
 * the way for all (`findWay`), and each is there for the others before and behind its own work (`attend`).
 */
import { findFirstHop, type IpAddress, type Stack } from '@sandstorm/libtcpip'
import type { Generator } from './generator.ts'

/** So long may connections take to end after the run, microseconds. */
const ENDING_US = 200_000
/** Waits shorter than this cost more than looking again. */
const SHORT_US = 20

/**
 * Runs to the generator's end, or until `isStopped` says so, which is asked after each batch. Returns why
 * the device went down, '' if it did not. `nowUs`: microseconds, never going back.
 */
export function drive(
  stack: Stack,
  generator: Generator,
  nowUs: () => number,
  isStopped: () => boolean,
): string {
  const { device } = stack
  generator.start(nowUs())
  while (!generator.isOver && device.down === '') {
    const now = nowUs()
    generator.poll(now)
    const count = stack.poll(now)
    if (isStopped()) break
    if (count === 0) wait(stack, generator.waitUs(now))
  }
  generator.finish(nowUs())
  end(stack, nowUs)
  return device.down
}

/** Polls until `station` is that of the first hop to `remote`; false if nobody has answered by `untilUs`. */
export function findWay(
  stack: Stack,
  remote: IpAddress,
  station: Int32Array,
  nowUs: () => number,
  untilUs: number,
): boolean {
  while (!findFirstHop(stack.tcp, remote, station)) {
    const now = nowUs()
    if (now >= untilUs || stack.device.down !== '') return false
    if (stack.poll(now) === 0) wait(stack, untilUs - now)
  }
  return true
}

/** Answers the link, and hands over what came to the wrong queue, until `isStopped` says so. */
export function attend(stack: Stack, nowUs: () => number, isStopped: () => boolean): void {
  const { device } = stack
  while (!isStopped() && device.down === '') {
    if (stack.poll(nowUs()) === 0) device.wait(stack.idleUs())
  }
}

function wait(stack: Stack, mostUs: number): void {
  const idleUs = stack.idleUs()
  const us = idleUs < 0 || idleUs > mostUs ? mostUs : idleUs
  if (us >= SHORT_US) stack.device.wait(us)
}

/** What was closed in the end says so. */
function end(stack: Stack, nowUs: () => number): void {
  const untilUs = nowUs() + ENDING_US
  for (;;) {
    const now = nowUs()
    const count = stack.poll(now)
    const isQuiet = stack.tcp.table.count === 0 && stack.frames.inFlightCount === 0
    if (isQuiet || now >= untilUs || stack.device.down !== '') return
    if (count === 0) wait(stack, untilUs - now)
  }
}
