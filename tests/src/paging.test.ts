/**
 * Files that do not fit into memory, on both mounts: they are sent as they are on disk, in one
 * version or not at all, and take little memory; nobody who takes nothing keeps others waiting.
 */
import { describeLargeFiles, describePaging } from './kit/pagingSuite.ts'

describeLargeFiles({ wholeBytes: 300e6, memories: ['256MiB'], earlyBytes: 300e6 })
describePaging()
