/** Where the access log's bytes go: a file that is appended to, or standard output. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export interface AccessSink {
  /**
   * Writes some of the bytes from the beginning on; returns how many, 0 if a reader has to read
   * first. Rejects if it could none.
   */
  write(bytes: Buffer): Promise<number>
  /** Never rejects. */
  close(): Promise<void>
}

/** Whose the log is may read it, and the group, which log shippers join. */
const MODE = 0o640

/**
 * A pipe makes nobody wait, neither for a reader to come nor for it to read: one of the few threads
 * for files would, for good perhaps, and with it the end of the process.
 */
const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK = 0 } = constants
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK

/** Opens what `path` names; '-' is standard output. Rejects with the system's error. */
export async function openSink(path: string): Promise<AccessSink> {
  return path === '-' ? STDOUT : fileSink(await open(path, FLAGS, MODE))
}

function fileSink(file: FileHandle): AccessSink {
  return {
    write: async bytes => {
      try {
        return (await file.write(bytes, 0, bytes.length)).bytesWritten
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
        throw error
      }
    },
    close: () => file.close().catch(() => {}),
  }
}

/** Its reader may take its time: then the write settles late, and lines wait meanwhile. */
const STDOUT: AccessSink = {
  write: bytes =>
    new Promise((resolve, reject) => {
      process.stdout.write(bytes, error => (error ? reject(error) : resolve(bytes.length)))
    }),
  close: async () => {},
}
