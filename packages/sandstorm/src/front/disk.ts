/** The file system that stored answers are kept on (cache/persist.ts). */
import * as fs from 'node:fs/promises'
import type { Disk } from '../cache/persist.ts'

export const REAL_DISK: Disk = fs
