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

/** A disk whose readings of bodies hang until it is mended, for good. */
export class HangingDisk {
  readonly fs: ContentFs
  /** Lets readings that hang go on, and all that follow. */
  readonly mend: () => void

  constructor() {
    let mend = (): void => {}
    const isMended = new Promise<void>(resolve => {
      mend = resolve
    })
    this.mend = mend
    this.fs = {
      ...REAL_FS,
      read: async (...args) => {
        await isMended
        return REAL_FS.read(...args)
      },
    }
  }
}
