/** A file system for tests of loading, which something else is at work in. */
import { type ContentFs, REAL_FS } from '../../src/content/fileSystem.ts'

/** Runs `interfere` before each opening of a file; what it throws is the failure of the opening. */
export function interfering(interfere: (file: string) => void): ContentFs {
  const open = (file: string, flags: number): number => {
    interfere(file)
    return REAL_FS.open(file, flags)
  }
  return { ...REAL_FS, open }
}
