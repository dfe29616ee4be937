/** As ../reloadTree.test.ts, with more of everything. */
import { describeTreeReload } from '../kit/reloadTreeSuite.ts'

describeTreeReload({ releases: 20, turns: 1000, newFiles: 5000 })
