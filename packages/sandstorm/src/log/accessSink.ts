/** Where the access log's bytes go: a file that is appended to, or standard output. */
import { type FileHandle, open } from 'node:fs/promises'

export interface AccessSink {
  /** Writes some of the bytes from the beginning on; returns how many. Rejects if it could none. */
  write(bytes: Buffer): Promise<number>
  /** Never rejects. */
  close(): Promise<void>
}

/** Whose the log is may read it, and the group, which log shippers join. */
const MODE = 0o640

/** Opens what `path` names; '-' is standard output. Rejects with the system's error. */
export async function openSink(path: string): Promise<AccessSink> {
  return path === '-' ? STDOUT : fileSink(await open(path, 'a', MODE))
}

function fileSink(file: FileHandle): AccessSink {
  return {
    write: async bytes => (await file.write(bytes, 0, bytes.length)).bytesWritten,
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
