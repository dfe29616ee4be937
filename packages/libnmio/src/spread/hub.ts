/**
 * Where the workers of one device meet: a mailbox from each to each, and of each a word that says
 * whether it is there. It lies in a part of the region that no worker has for its own.
 */
import type { Region } from '../region.ts'
import { MAILBOX_BYTES } from './mailbox.ts'

/** States of a worker: nobody, at work, about to sleep or asleep. */
export const ABSENT = 0
export const AWAKE = 1
export const ASLEEP = 2

const STATE_BYTES = 64

/** Bytes that the hub of `count` workers takes. */
export const hubBytes = (count: number): number =>
  count === 1 ? 0 : count * (STATE_BYTES + count * MAILBOX_BYTES)

/** Word of the state of worker `i`, for a hub at byte offset `base`, a multiple of 64. */
export const stateWord = (base: number, i: number): number => (base + i * STATE_BYTES) >> 2

/** Where the mailbox is that `from` writes and `to` reads. */
export const mailboxOff = (base: number, count: number, from: number, to: number): number =>
  base + count * STATE_BYTES + (from * count + to) * MAILBOX_BYTES

/** To be called when a worker has died: nobody hands it anything until another has its place. */
export function leaveHub(region: Region, base: number, i: number): void {
  const words = new Int32Array(region.buffer, 0, region.byteLength >> 2)
  Atomics.store(words, stateWord(base, i), ABSENT)
}
