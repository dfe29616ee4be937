/** All figures, in the order of the report. */
import { core } from './core.ts'
import { fig1 } from './fig1.ts'
import { fig3 } from './fig3.ts'
import { fig4 } from './fig4.ts'
import { fig5 } from './fig5.ts'
import { fig6 } from './fig6.ts'
import type { Figure } from './figure.ts'
import { ledger } from './ledger.ts'
import { memory } from './memory.ts'
import { peers } from './peers.ts'
import { sizes } from './sizes.ts'

export const FIGURES: readonly Figure[] = [
  fig1,
  fig3,
  fig4,
  fig5,
  fig6,
  core,
  peers,
  sizes,
  ledger,
  memory,
]
