/** A packet thread: sends back what comes to a queue of memif's, until the flag is set. */
import { workerData } from 'node:worker_threads'
import { MemifDevice, type MemifHandle, Region, type SharedMemory } from '../src/index.ts'
import { Echo } from './echo.ts'

export interface EchoThread {
  readonly handle: MemifHandle
  readonly memory: SharedMemory
  /** 1: close the device, and end. */
  readonly flag: Int32Array
}

const { handle, memory, flag } = workerData as EchoThread
const device = new MemifDevice(handle, new Region(memory))
const echo = new Echo(device)
while (Atomics.load(flag, 0) === 0) if (echo.turn() === 0) device.wait(-1)
device.close()
