/** Which CPU a thread runs on (sched_setaffinity(2)). */
import { EINVAL, SysError } from './errno.ts'
import { libc } from './libc.ts'

/**
 * Pins the calling thread to a CPU, by its number. Throws SysError if there is none, or none for
 * us.
 */
export function pinThread(cpu: number): void {
  const mask = new Uint8Array((cpu >> 6) * 8 + 8)
  mask[cpu >> 3] = 1 << (cpu & 7)
  const c = libc()
  if (c.setAffinity(0, mask.length, mask) === 0) return
  const errno = c.errno()
  const hint = errno === EINVAL ? 'there is no such CPU for us: see taskset -cp $$' : ''
  throw new SysError(`pin a thread to CPU ${cpu}`, errno, hint)
}
