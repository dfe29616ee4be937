/** The tree through an interface that is there, by packet sockets (nicTree.suite.ts). */
import { nicTreeSuite } from './nicTree.suite.ts'

nicTreeSuite('packet')
