/**
 * Files that change under a running server and its clients, on both mounts: every answer is one
 * whole version, none is older than one before it, nothing outside the folder is ever served, and
 * what is no longer needed is given back.
 */
import { describeReload } from './kit/reloadSuite.ts'

describeReload(2)
