/**
 * A thread of a ReadTeam: takes lists of files, reads each to its place in the region, and answers
 * with a list of how that went. It ends when it is told to.
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { SharedMemory } from '@sandstorm/libnmio'
import { type ContentFs, REAL_FS } from './fileSystem.ts'
import { type ReadResult, readInto } from './read.ts'
import { orderAt, type ReadList } from './readList.ts'

/** Nothing else has to have its turn on this thread. */
const WAITING_FS: ContentFs = {
  ...REAL_FS,
  read: async (...args) => REAL_FS.readSync(...args),
}

const bytes = new Uint8Array((workerData as SharedMemory).buffer)

parentPort?.on('message', async (list: ReadList) => {
  const results: ReadResult[] = []
  for (let i = 0; i < list.files.length; i++) {
    const { file, off, expected } = orderAt(list, i)
    results.push(await readInto(bytes, off, expected, file, WAITING_FS))
  }
  parentPort?.postMessage(results)
})
