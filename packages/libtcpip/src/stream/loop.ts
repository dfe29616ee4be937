/**
 * The loop that drives a stack (paper §2.1: clocked by received packets): poll while there is
 * something to do, else wait on the device. The clock is the caller's; the waiting is the device's.
 */
import type { Stack } from '../stack.ts'

/**
 * Runs until `isOver` says so, which is asked after each batch. Nothing else of the thread's
 * runs meanwhile: no promise, no timer, no signal handler. Returns why the device went down, '' if
 * it did not. `nowUs`: microseconds, never going back.
 */
export function runLoop(stack: Stack, nowUs: () => number, isOver: () => boolean): string {
  const { device } = stack
  for (;;) {
    const count = stack.poll(nowUs())
    if (device.down !== '' || isOver()) return device.down
    if (count === 0) device.wait(stack.idleUs())
  }
}
