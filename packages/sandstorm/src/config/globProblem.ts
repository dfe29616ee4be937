/** What is wrong with the glob of a rule. */
import { compileGlob } from '../site/glob.ts'

/** '' for a glob that can be used. */
export function globProblem(text: string): string {
  if (text === '') return 'nothing given'
  try {
    compileGlob(text)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}
