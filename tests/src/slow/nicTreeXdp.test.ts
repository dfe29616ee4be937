/** The tree through an interface that is there, by AF_XDP (nicTree.suite.ts). */
import { nicTreeSuite } from './nicTree.suite.ts'

nicTreeSuite('xdp')
