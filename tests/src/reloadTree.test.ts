/**
 * Trees that change under a running server, on both mounts: what is new, gone, elsewhere, exchanged
 * as a whole or not to be read any more is so for clients too, and what a link leads to outside is
 * never served.
 */
import { describePermissions, describeTreeReload } from './kit/reloadTreeSuite.ts'

describeTreeReload({ releases: 6, turns: 150, newFiles: 500 })
describePermissions()
