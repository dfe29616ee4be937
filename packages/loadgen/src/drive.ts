/**
 * The loop of a packet thread that generates load: what is due, a batch of frames, and if there was
 * none a wait. Nothing else of the thread's runs meanwhile. Of several threads on one device the
 * first finds the way for all (`findWay`), and each is there for the others before and behind its
 * own work (`attend`).
 */
import { findFirstHop, type IpAddress, type Stack } from '@sandstorm/libtcpip'
import type { Generator } from './generator.ts'

/**
 * In the end nobody is waited for when no connection has ended for so long, microseconds: a server
 * that repeats what it has sent on a hundred thousand connections is busy with that for a second.
 */
const ENDING_US = 2_000_000
/** Waits shorter than this cost more than looking again. */
const SHORT_US = 20

/**
 * Runs to the generator's end, or until `isStopped` says so, which is asked after each batch.
 * Returns why the device went down, '' if it did not. `nowUs`: microseconds, never going back.
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
  end(stack, generator, nowUs)
  return device.down
}

/**
 * Polls until `station` is that of the first hop to `remote`; false if nobody has answered by
 * `untilUs`.
 */
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

/** What is closed in the end says so, to the last connection: its port would be in use at the server. */
function end(stack: Stack, generator: Generator, nowUs: () => number): void {
  let left = -1
  let untilUs = 0
  for (;;) {
    const now = nowUs()
    generator.poll(now)
    const count = stack.poll(now)
    const open = stack.tcp.table.count
    if (open === 0 && stack.frames.inFlightCount === 0) return
    if (open !== left) untilUs = now + ENDING_US
    left = open
    if (now >= untilUs || stack.device.down !== '') return
    if (count === 0) wait(stack, Math.min(untilUs - now, generator.waitUs(now)))
  }
}
