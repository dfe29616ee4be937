/**
 * Who reads files into the content region while it is loaded: this thread as it goes along (here),
 * or other threads beside it (readTeam.ts), which pays if there is much to read.
 *
 * Invariant: where a file goes is known before it is read, and nobody else touches that place until
 * its reading has settled.
 */
import type { Region } from '@sandstorm/libnmio'
import { type ContentFs, PARALLEL_CALLS } from './fileSystem.ts'
import { type FileState, type ReadResult, readInto } from './read.ts'

export interface FileReader {
  /** As many files should be asked for at once. */
  readonly callsMax: number
  /** Reads `file` to [off, off + expected.size), if it is still that version. Never rejects. */
  read(file: string, off: number, expected: FileState): Promise<ReadResult>
  /** Call it when every reading has settled; settles when nothing of the reader runs any more. */
  close(): Promise<void>
}

/** Gives a reader for so many files that are to go into `region`. */
export type ReaderChoice = (region: Region, files: number, fs: ContentFs) => FileReader

/** Reads on the calling thread, from any file system. */
export const plainReader: ReaderChoice = (region, _files, fs) => ({
  callsMax: PARALLEL_CALLS,
  read: (file, off, expected) => readInto(region.bytes, off, expected, file, fs),
  close: async () => {},
})
