/** Folders that a test writes to, below the system's temporary one; gone when the process ends. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atExit } from './cleanup.ts'

export interface TemporaryFolder {
  readonly path: string
  /** Deletes it now, if the end of the process is too late. */
  remove(): void
}

/** Makes an empty folder whose name begins with `sand-` and the given word. */
export function temporaryFolder(word: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `sand-${word}-`))
  const remove = (): void => rmSync(path, { recursive: true, force: true })
  const forget = atExit(remove)
  return {
    path,
    remove: () => {
      forget()
      remove()
    },
  }
}
